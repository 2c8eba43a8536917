"""The parameters of the node `msga_loops` as one frozen value that both threads read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.loops.config import LoopConfig
from msga_ros.odometry.mount import Mount
from msga_ros.stream.loops.parameters import LOOP_PARAMETERS, NONE, TF
from msga_ros.stream.message_set import DEPTH_INPUT, RGBD_INPUTS, RIGHT_INPUTS, TEMPORAL_INPUTS
from msga_ros.stream.node_settings import NodeSettings, SettingsError
from msga_ros.stream.robot_settings import mount_from_text


@dataclass(frozen=True)
class LoopSettings(NodeSettings):
    """All parameters, checked against each other. `mount`: the camera's place where it is given."""

    TABLE = LOOP_PARAMETERS

    loops: LoopConfig
    mount: Mount | None

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> LoopSettings:
        """Check `values` (a missing one takes its default). Raises `SettingsError`."""
        merged, pipeline = cls._merged(values)
        try:
            loops = LoopConfig(
                **{one.name: merged[f"loops.{one.name}"] for one in fields(LoopConfig)}
            )
            text = merged["odometry.camera_in_base"].strip()
            mount = mount_from_text(merged["odometry.base_frame"], text) if text else None
        except (ConfigError, ValueError) as error:
            raise SettingsError(str(error)) from None
        frames = {name: merged[name].lstrip("/") for name in ("odometry.frame", "map.frame")}
        if not frames["map.frame"]:
            raise SettingsError("map.frame is empty")
        if merged["odometry.source"] == TF and not all(
            merged[name].lstrip("/") for name in ("odometry.frame", "odometry.base_frame")
        ):
            raise SettingsError("odometry.source tf needs odometry.frame and odometry.base_frame")
        if merged["odometry.source"] == TF and len(set(frames.values())) == 1:
            raise SettingsError(f"map.frame and odometry.frame are both {frames['map.frame']!r}")
        if loops.optimise and merged["odometry.source"] == NONE:
            raise SettingsError("loops.optimise needs an odometry: odometry.source is none")
        if merged["depth.use"] and merged["stereo.use"]:
            raise SettingsError("depth.use and stereo.use: one of them gives the lengths")
        if merged["right/calibration"] and not merged["stereo.use"]:
            raise SettingsError("right/calibration is of stereo.use, which is off")
        return cls(merged, pipeline, loops, mount)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the messages of a set."""
        if self.values["stereo.use"]:
            return (*TEMPORAL_INPUTS, *RIGHT_INPUTS)
        return RGBD_INPUTS if self.values["depth.use"] else TEMPORAL_INPUTS

    def transport(self, name: str) -> str:
        """How the images of the input `name` come: `raw`, or by which image transport."""
        return self["depth.transport"] if name == DEPTH_INPUT else super().transport(name)

    @property
    def has_odometry(self) -> bool:
        """Whether an odometry is listened to."""
        return bool(self.values["odometry.source"] != NONE)

    def frame(self, name: str) -> str:
        """The frame that a parameter names, as tf2 has it: without a slash in front."""
        return str(self.values[name]).lstrip("/")
