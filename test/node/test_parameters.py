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
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from msga_ros.node.parameters import Parameters
from msga_ros.stream.parameter_table import PARAMETERS

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


def declare(node: Node) -> Parameters:
    def unforeseen(place: str, error: Exception) -> None:
        raise AssertionError(place) from error

    return Parameters(node, lambda old, new: None, unforeseen)


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
