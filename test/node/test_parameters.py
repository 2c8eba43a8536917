"""What the node declares of the table of parameters, and what it says of names it does not have."""
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

import rclpy
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from msga_ros.configuration import registry
from msga_ros.node.parameters import Parameters
from msga_ros.stream.parameter_table import PARAMETERS
from msga_ros.stream.settings import Settings, SettingsError

pytestmark = pytest.mark.ros


@pytest.fixture
def make_node() -> Iterator[Callable[..., Node]]:
    contexts, nodes = [], []

    def make(*arguments: str) -> Node:
        context = Context()
        rclpy.init(args=["--ros-args", *arguments], context=context)
        contexts.append(context)
        nodes.append(Node("msga", context=context))
        return nodes[-1]

    yield make
    for node, context in zip(nodes, contexts, strict=True):
        node.destroy_node()
        context.try_shutdown()


def declare(node: Node) -> Parameters[Settings]:
    def unforeseen(place: str, error: Exception) -> None:
        raise AssertionError(place) from error

    return Parameters(node, Settings, lambda old, new: None, unforeseen)


def declared_range(described: Any) -> tuple[float, float] | None:
    for one in (*described.integer_range, *described.floating_point_range):
        return one.from_value, one.to_value
    return None


def test_ros_knows_of_each_parameter_what_the_table_says(make_node: Callable[..., Node]) -> None:
    node = make_node()
    declare(node)
    for one in PARAMETERS:
        described = node.describe_parameter(one.name)
        assert node.get_parameter(one.name).value == one.default
        assert described.description.startswith(one.description)
        assert described.read_only == one.read_only
        limits = None if one.minimum is None else (one.minimum, one.maximum)
        assert declared_range(described) == limits, one.name
        assert all(choice in described.additional_constraints for choice in one.choices)
        assert one.unit == "" or f"Unit: {one.unit}." in described.additional_constraints


def test_a_name_in_a_file_that_the_node_does_not_have_is_said_with_the_nearest(
    make_node: Callable[..., Node], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "/**:\n  ros__parameters:\n    frontend: {max_keypoint: 500, ratio: 0.8}\n"
        "    odometry: {keyframe_inlier: 40}\n    zzz: 1\n"
    )
    node = make_node("--params-file", str(file))
    settings = declare(node).settings
    said = capfd.readouterr().err
    assert "there is no parameter frontend.max_keypoint; frontend.max_keypoints is meant?" in said
    assert "there is no parameter odometry.keyframe_inlier; odometry.keyframe_inliers" in said
    assert "there is no parameter zzz\n" in said
    assert "frontend.ratio" not in said
    assert settings["frontend.ratio"] == 0.8


def test_parameters_of_others_change_without_the_settings(make_node: Callable[..., Node]) -> None:
    """Those of rclpy itself, and what a component declares beside: they are none of ours."""
    node = make_node()
    parameters = declare(node)
    node.declare_parameter("of_another", 1)
    before = parameters.settings
    changes = [RosParameter("of_another", value=2), RosParameter("use_sim_time", value=True)]
    assert all(result.successful for result in node.set_parameters(changes))
    assert parameters.settings is before
    both = [RosParameter("of_another", value=3), RosParameter("pose.threshold_px", value=2.0)]
    assert node.set_parameters_atomically(both).successful
    assert parameters.settings["pose.threshold_px"] == 2.0


@pytest.mark.parametrize("service", ["set_parameters", "set_parameters_atomically"])
def test_more_parameters_at_once_than_there_are_set_none(
    make_node: Callable[..., Node], service: str
) -> None:
    node = make_node()
    changes: list[Settings] = []
    Parameters(node, Settings, lambda old, new: changes.append(new), lambda *_: None)
    kind = {"set_parameters": SetParameters, "set_parameters_atomically": SetParametersAtomically}
    (found,) = (one for one in node.services if one.srv_name.rpartition("/")[2] == service)

    def asked(count: int) -> list[Any]:
        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.5)
        one = ParameterMessage(name="network.score_threshold", value=value)
        request = kind[service].Request(parameters=[one] * count)
        response = found.callback(request, kind[service].Response())
        return [response.result] if "atomically" in service else list(response.results)

    refused = asked(20_000)
    assert len(refused) == (1 if "atomically" in service else 20_000)
    assert not any(one.successful for one in refused) and "20000" in refused[-1].reason
    assert changes == [] and node.get_parameter("network.score_threshold").value == 0.0
    assert all(one.successful for one in asked(3))
    # Set three times to the same value: there is one change.
    assert len(changes) == 1 and changes[0]["network.score_threshold"] == 0.5


def test_what_a_change_costs_does_not_grow_with_the_packages_that_are_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings.from_values({})

    def read_again(**_: str) -> None:
        raise AssertionError("what is installed is read again")

    monkeypatch.setattr(registry, "entry_points", read_again)
    assert settings.changed({"network.score_threshold": 1.0})["network.score_threshold"] == 1.0


def test_a_value_of_a_megabyte_is_not_said_back() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_values({"pose.refine": "x" * 1_000_000})
    assert len(str(caught.value)) < 500 and "pose.refine" in str(caught.value)
