"""The launch file, where `launch_ros` is installed: what it starts, with what, what it refuses."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

pytest.importorskip("launch_ros", reason="launch_ros is not installed")
pytest.importorskip("msga_ros.msg", reason="the package is not built")

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction
from launch.utilities import perform_substitutions
from launch_ros.actions import Node

from msga_ros.two_view.presets import PRESETS

pytestmark = pytest.mark.ros

FILE = Path(__file__).resolve().parents[2] / "launch" / "msga.launch.py"


@pytest.fixture(scope="module")
def launch_file() -> ModuleType:
    specification = importlib.util.spec_from_file_location("msga_launch", FILE)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def started(module: ModuleType, **arguments: str) -> list[Any]:
    """The actions that would be executed."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    actions: list[Any] = []
    for entity in module.generate_launch_description().entities:
        if isinstance(entity, (DeclareLaunchArgument, OpaqueFunction)):
            actions += entity.execute(context) or []
    return actions


def parameters(node: Node) -> dict[str, Any]:
    """Those that stand over the parameter file."""
    context, found = LaunchContext(), {}
    for one in node._Node__parameters:
        if isinstance(one, dict):
            for name, value in one.items():
                text = perform_substitutions(context, name)
                found[text] = (
                    yaml.safe_load(perform_substitutions(context, value))
                    if isinstance(value, tuple)
                    else value
                )
    return found


def words(node: Node) -> list[str]:
    """The arguments of its program."""
    return [str(one) for one in node._Node__arguments]


def node_of(module: ModuleType, **arguments: str) -> Node:
    (node,) = (one for one in started(module, **arguments) if isinstance(one, Node))
    return node


def test_without_arguments_the_parameter_file_holds(launch_file: ModuleType) -> None:
    assert parameters(node_of(launch_file)) == {}  # use_sim_time too


def files(node: Node) -> list[str]:
    """Names of its parameter files, those that count more later."""
    given = [one for one in node._Node__parameters if not isinstance(one, dict)]
    return [Path(perform_substitutions(LaunchContext(), one.param_file)).name for one in given]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_stands_above_the_defaults_and_below_ones_own(
    launch_file: ModuleType, preset: str, tmp_path: Path
) -> None:
    assert files(node_of(launch_file, preset=preset)) == ["msga.yaml", f"{preset}.yaml"]
    own = tmp_path / "own.yaml"
    own.write_text("/**: {ros__parameters: {rectified: true}}\n")
    both = node_of(launch_file, preset=preset, params_file=str(own))
    assert files(both) == ["msga.yaml", f"{preset}.yaml", "own.yaml"]


def test_arguments_become_parameters_of_their_type(launch_file: ModuleType) -> None:
    found = parameters(
        node_of(
            launch_file,
            use_sim_time="true", slop="0.01", rectified="false", tf="true", mode="stereo",
            base_frame="base_link", camera_in_base="0 0 1 0 0 0", odom_frame="vo",
        )
    )  # fmt: skip
    assert found == {
        "use_sim_time": True, "sync.slop": 0.01, "rectified": False, "publish.tf": True,
        "mode": "stereo", "odometry.base_frame": "base_link",
        "odometry.camera_in_base": "0 0 1 0 0 0", "odometry.frame": "vo",
    }  # fmt: skip


def test_calibration_files_are_parameters(launch_file: ModuleType, tmp_path: Path) -> None:
    rig = tmp_path / "rig.yaml"
    rig.touch()
    chosen = f"{rig}#cam0,cam1"
    assert parameters(node_of(launch_file, calibration=chosen)) == {"calibration": chosen}
    found = parameters(node_of(launch_file, left_calibration=str(rig), right_calibration=str(rig)))
    assert found == {"left/calibration": str(rig), "right/calibration": str(rig)}


def test_the_qos_of_the_inputs_goes_to_their_full_names(launch_file: ModuleType) -> None:
    found = parameters(
        node_of(
            launch_file,
            namespace="robot", image="cam/image", left_image="/left", input_reliability="reliable",
        )
    )  # fmt: skip
    for topic in ("/robot/cam/image", "/robot/cam/image/compressed", "/left", "/left/compressed"):
        assert found[f"qos_overrides.{topic}.subscription.reliability"] == "reliable"


@pytest.mark.parametrize(("namespace", "logger"), [("", "msga"), ("/a/b/", "a.b.msga")])
def test_the_level_of_the_log_reaches_the_logger_of_the_node(
    launch_file: ModuleType, namespace: str, logger: str
) -> None:
    node = node_of(launch_file, namespace=namespace, log_level="debug")
    assert f"{logger}:=debug" in words(node)


def test_the_launch_ends_with_the_node(launch_file: ModuleType) -> None:
    node = node_of(launch_file)
    assert isinstance(node._ExecuteLocal__on_exit, EmitEvent)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"rviz": "true"}, RuntimeError, "rviz2 is not installed"),
        ({"params_file": "/no/such"}, FileNotFoundError, "params_file: there is no file /no/such"),
        ({"rviz": "true", "rviz_config": "/no/such"}, FileNotFoundError, "rviz_config"),
        ({"slop": "much"}, ValueError, "slop: seconds, not 'much'"),
        (
            {"left_calibration": "/no.yaml#cam0"},
            FileNotFoundError,
            "there is no file /no.yaml$",
        ),
        ({"mode": "both"}, RuntimeError, "both"),
        ({"tf": "perhaps"}, RuntimeError, "perhaps"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_started(
    launch_file: ModuleType,
    arguments: dict[str, str],
    error: type[Exception],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_rviz(name: str) -> str:
        raise launch_file.PackageNotFoundError(name)

    monkeypatch.setattr(launch_file, "get_package_prefix", no_rviz)
    with pytest.raises(error, match=says):
        started(launch_file, **arguments)


def test_rviz_waits_for_the_frame_of_the_images(
    launch_file: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch_file, "get_package_prefix", lambda name: "/opt/here")
    for given, frame in (("", []), ("map", ["--frame", "map"])):
        nodes = started(launch_file, rviz="true", namespace="robot", fixed_frame=given)
        rviz = next(
            one
            for one in nodes
            if isinstance(one, Node) and one._Node__node_executable == "msga_rviz"
        )
        command = words(rviz)
        assert command[: command.index("--")] == ["--node", "/robot/msga", *frame]
        assert command[command.index("--") + 1] == "/opt/here/lib/rviz2/rviz2"
