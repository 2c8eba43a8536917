"""The node's parameters as one frozen value that both threads read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msga_ros.configuration.parameter import Parameter, Value, nearest
from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.odometry.config import OdometryConfig
from msga_ros.stream.parameter_table import PARAMETERS, own_parameters
from msga_ros.stream.reference_view import ReferencePolicy
from msga_ros.stream.robot_settings import RobotSettings
from msga_ros.two_view.config import PipelineConfig

_PIPELINE_GROUPS = ("frontend", "sieve", "network", "pose")


class SettingsError(ValueError):
    """Parameter values that cannot be taken; the message is the reason."""


@dataclass(frozen=True)
class Settings:
    """All parameters, checked against each other. Changing some makes a new value."""

    values: Mapping[str, Value]
    pipeline: PipelineConfig
    reference: ReferencePolicy
    odometry: OdometryConfig
    robot: RobotSettings

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> Settings:
        """Check `values` (a missing one takes its default). Raises `SettingsError`."""
        merged = _checked(PARAMETERS, values)
        merged.update(_checked(own_parameters(merged), values))
        unknown = sorted(set(values) - set(merged))
        if unknown:
            hint = nearest(unknown[0], merged)
            raise SettingsError(f"unknown parameter {unknown[0]}{hint}")
        pipeline_values = {
            name: value for name, value in merged.items() if name.split(".")[0] in _PIPELINE_GROUPS
        }
        try:
            pipeline = PipelineConfig.load(**pipeline_values)
        except ConfigError as error:
            raise SettingsError(str(error)) from None
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

    def changed(self, changes: Mapping[str, object]) -> Settings:
        """These settings with `changes`, all of them or none. Raises `SettingsError`."""
        return Settings.from_values({**self.values, **changes})

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def stereo(self) -> bool:
        """Mode stereo; otherwise temporal."""
        return bool(self.values["mode"] == "stereo")


def _checked(parameters: Sequence[Parameter], values: Mapping[str, object]) -> dict[str, Any]:
    merged = {one.name: values.get(one.name, one.default) for one in parameters}
    for one in parameters:
        reason = one.check(merged[one.name])
        if reason is not None:
            raise SettingsError(reason)
    return merged
