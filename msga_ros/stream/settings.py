"""The parameters of the node `msga` as one frozen value that both threads read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msga_ros.odometry.config import OdometryConfig
from msga_ros.stream.message_set import DEPTH_INPUT, INPUTS
from msga_ros.stream.node_settings import NodeSettings, SettingsError
from msga_ros.stream.parameter_table import PARAMETERS
from msga_ros.stream.reference_view import ReferencePolicy
from msga_ros.stream.robot_settings import RobotSettings

__all__ = ["Settings", "SettingsError"]


@dataclass(frozen=True)
class Settings(NodeSettings):
    """All parameters, checked against each other. Changing some makes a new value."""

    TABLE = PARAMETERS

    reference: ReferencePolicy
    odometry: OdometryConfig
    robot: RobotSettings

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> Settings:
        """Check `values` (a missing one takes its default). Raises `SettingsError`."""
        merged, pipeline = cls._merged(values)
        reference = ReferencePolicy(
            kind=merged["temporal.reference"],
            max_parallax_deg=merged["temporal.keyframe_max_parallax_deg"],
            min_inliers=merged["temporal.keyframe_min_inliers"],
            min_inlier_ratio=merged["temporal.keyframe_min_inlier_ratio"],
            min_features=merged["pose.min_inliers"],
        )
        odometry = OdometryConfig(
            **{name: merged[f"odometry.{name}"] for name in OdometryConfig.__dataclass_fields__}
        )
        try:
            robot = RobotSettings.from_values(merged)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        return cls(merged, pipeline, reference, odometry, robot)

    @property
    def stereo(self) -> bool:
        """Mode stereo: two cameras."""
        return bool(self.values["mode"] == "stereo")

    @property
    def rgbd(self) -> bool:
        """Mode rgbd: one camera with depth images."""
        return bool(self.values["mode"] == "rgbd")

    @property
    def metric(self) -> bool:
        """Motion over time is told in metres: there is odometry."""
        return self.stereo or self.rgbd

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, of the mode."""
        return INPUTS[self["mode"]]

    def transport(self, name: str) -> str:
        return self["depth.transport"] if name == DEPTH_INPUT else super().transport(name)
