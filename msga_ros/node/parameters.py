"""Declares the table of parameters on a node and keeps its settings in step with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
)
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter as RosParameter

from msga_ros.configuration.parameter import Parameter, nearest
from msga_ros.stream.node_settings import NodeSettings, SettingsError
from msga_ros.stream.parameter_table import own_parameters

_Service = Callable[[Any, Any], Any]  # of either request, with its response
Of = TypeVar("Of", bound=NodeSettings)

MOST_AT_ONCE = 500  # a whole parameter file has less than half


def descriptor(parameter: Parameter) -> ParameterDescriptor:
    """The ROS descriptor of a row of the table."""
    described = ParameterDescriptor(
        name=parameter.name,
        description=parameter.description,
        read_only=parameter.read_only,
    )
    if parameter.choices:
        described.additional_constraints = "One of: " + ", ".join(parameter.choices)
    elif parameter.unit:
        described.additional_constraints = f"Unit: {parameter.unit}."
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None:
        if isinstance(parameter.default, int):
            described.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        else:
            described.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
    return described


def _declared(node: LifecycleNode, parameters: Sequence[Parameter]) -> dict[str, object]:
    """Declare `parameters` on `node`; their values. Raises `SettingsError`."""
    for one in parameters:
        try:
            node.declare_parameter(one.name, one.default, descriptor(one))
        except (
            InvalidParameterTypeException,
            InvalidParameterValueException,
        ) as error:
            overrides = getattr(node, "_parameter_overrides", {})
            given = overrides[one.name].value if one.name in overrides else None
            raise SettingsError(one.check(given) or str(error)) from None
    return {one.name: node.get_parameter(one.name).value for one in parameters}


def _bound_requests(node: LifecycleNode) -> None:
    """Refuse to set more parameters at once than there are: each one stops the executor a while."""
    for service in node.services:
        name = service.srv_name.rpartition("/")[2]
        if name in ("set_parameters", "set_parameters_atomically"):
            service.callback = _bounded(service.callback, atomically=name.endswith("atomically"))


def _bounded(callback: _Service, atomically: bool) -> _Service:
    def bounded(request: Any, response: Any) -> Any:
        count = len(request.parameters)
        if count <= MOST_AT_ONCE:
            return callback(request, response)
        refused = SetParametersResult(
            successful=False,
            reason=f"{count} parameters at once, more than {MOST_AT_ONCE}: none is set",
        )
        if atomically:
            response.result = refused
        else:
            response.results = [refused] * count
        return response

    return bounded


class Parameters(Generic[Of]):
    """The parameters of `node`, those of `kind`; `settings` is always a consistent value of it.

    `on_change(old, new)` is called, in the executor thread, after a change was accepted; if it
    raises `SettingsError` the change is refused with that reason. Any other exception refuses it,
    too, and goes to `on_exception(place, error)`.
    """

    def __init__(
        self,
        node: LifecycleNode,
        kind: type[Of],
        on_change: Callable[[Of, Of], None],
        on_exception: Callable[[str, Exception], None],
    ) -> None:
        self._on_exception = on_exception
        self._on_change = on_change
        values = _declared(node, kind.TABLE)
        # What a stage has of its own is known once the stage is.
        self.settings = kind.from_values(
            {**values, **_declared(node, own_parameters(kind.from_values(values).values))}
        )
        node.add_on_set_parameters_callback(self._on_set)
        _bound_requests(node)
        named = {one.name for one in kind.TABLE}
        for name in getattr(node, "_parameter_overrides", {}):
            if not (name in named or node.has_parameter(name) or name.startswith("qos_over")):
                hint = nearest(name, self.settings.values)
                node.get_logger().warning(f"there is no parameter {name}{hint}")

    def _on_set(self, parameters: list[RosParameter]) -> SetParametersResult:
        known = self.settings.values
        changes = {
            one.name: one.value
            for one in parameters
            if one.name in known and one.value != known[one.name]
        }
        if not changes:
            return SetParametersResult(successful=True)
        try:
            new = self.settings.changed(changes)
            self._on_change(self.settings, new)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:
            self._on_exception("parameter callback", error)
            return SetParametersResult(successful=False, reason=f"{type(error).__name__}: {error}")
        self.settings = new
        return SetParametersResult(successful=True)
