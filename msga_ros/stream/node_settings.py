"""The parameters of a node as one frozen value; what each node makes of them is its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from msga_ros.configuration.parameter import Parameter, Value, nearest
from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.stream.parameter_table import own_parameters
from msga_ros.two_view.config import PipelineConfig

_PIPELINE_GROUPS = ("frontend", "second_frontend", "sieve", "network", "pose")

Own = TypeVar("Own", bound="NodeSettings")


class SettingsError(ValueError):
    """Parameter values that cannot be taken; the message is the reason."""


@dataclass(frozen=True)
class NodeSettings:
    """All parameters of a node, checked against each other. Changing some makes a new value.

    `TABLE`: the parameters that the node has; those of the chosen stages come to them.
    """

    TABLE: ClassVar[tuple[Parameter, ...]] = ()

    values: Mapping[str, Value]
    pipeline: PipelineConfig

    @classmethod
    def from_values(cls: type[Own], values: Mapping[str, object]) -> Own:
        """Check `values` (a missing one takes its default). Raises `SettingsError`."""
        raise NotImplementedError

    def changed(self: Own, changes: Mapping[str, object]) -> Own:
        """These settings with `changes`, all of them or none. Raises `SettingsError`."""
        return type(self).from_values({**self.values, **changes})

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def transport(self, name: str) -> str:
        """How the images of the input `name` come: `raw`, or by which image transport."""
        return str(self["image_transport"])

    @classmethod
    def _merged(cls, values: Mapping[str, object]) -> tuple[dict[str, Any], PipelineConfig]:
        """All values, each allowed by the table, and the pipeline that they are of."""
        merged = _checked(cls.TABLE, values)
        merged.update(_checked(own_parameters(merged), values))
        unknown = sorted(set(values) - set(merged))
        if unknown:
            hint = nearest(unknown[0], merged)
            raise SettingsError(f"unknown parameter {unknown[0]}{hint}")
        pipeline_values = {
            name: value for name, value in merged.items() if name.split(".")[0] in _PIPELINE_GROUPS
        }
        try:
            return merged, PipelineConfig.load(**pipeline_values)
        except ConfigError as error:
            raise SettingsError(str(error)) from None


def _checked(parameters: Sequence[Parameter], values: Mapping[str, object]) -> dict[str, Any]:
    merged = {one.name: values.get(one.name, one.default) for one in parameters}
    for one in parameters:
        reason = one.check(merged[one.name])
        if reason is not None:
            raise SettingsError(reason)
    return merged
