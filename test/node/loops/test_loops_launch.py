"""The launch file of `msga_loops`, where `launch_ros` is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not installed")
pytest.importorskip("msga_ros.msg", reason="the package is not built")

from node.test_launch_file import node_of, parameters, started, words

pytestmark = pytest.mark.ros

FILE = Path(__file__).resolve().parents[3] / "launch" / "msga_loops.launch.py"


@pytest.fixture(scope="module")
def launch_file() -> ModuleType:
    specification = importlib.util.spec_from_file_location("msga_loops_launch", FILE)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_arguments_become_parameters_of_their_type(launch_file: ModuleType, tmp_path: Path) -> None:
    assert parameters(node_of(launch_file)) == {}
    file = str(tmp_path / "house.map")
    found = parameters(
        node_of(
            launch_file, odometry="tf", map_file=file, optimise="true", tf="false",
            base_frame="base_footprint", use_sim_time="true",
        )
    )  # fmt: skip
    assert found == {
        "odometry.source": "tf", "map.file": file, "loops.optimise": True, "publish.tf": False,
        "odometry.base_frame": "base_footprint", "use_sim_time": True,
    }  # fmt: skip


def test_the_level_of_the_log_reaches_the_node(launch_file: ModuleType) -> None:
    node = node_of(launch_file, namespace="/robot/", log_level="debug")
    assert "robot.msga_loops:=debug" in words(node)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"params_file": "/no/such"}, FileNotFoundError, "params_file: there is no file /no/such"),
        ({"map_file": "/no/such/map"}, FileNotFoundError, "map_file: there is no folder /no/such"),
        ({"calibration": "/no.yaml#cam0"}, FileNotFoundError, "there is no file /no.yaml$"),
        ({"odometry": "wheels"}, RuntimeError, "wheels"),
        ({"optimise": "perhaps"}, RuntimeError, "perhaps"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_started(
    launch_file: ModuleType, arguments: dict[str, str], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        started(launch_file, **arguments)
