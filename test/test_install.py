"""`pip install .` in an empty environment: what the wheel declares is enough to use it."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest
from declared_imports import IMPORTS, Where
from fresh_environment import FreshEnvironment
from synthetic_dump import synthetic_pair, write_dump

import msga_ros
from msga_ros.cli import COMMANDS

# Imports every module that knows no ROS, and prints what could not be found.
IMPORT_ALL = """
import importlib, pkgutil, sys
import msga_ros
missing = {}
for module in pkgutil.walk_packages(msga_ros.__path__, "msga_ros.", onerror=lambda name: None):
    if module.name.startswith(("msga_ros.client", "msga_ros.node", "msga_ros.tools",
                               "msga_ros.plugs.node", "msga_ros.viewing.node")):
        continue
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        missing[module.name] = error.name
import json
print(json.dumps(missing))
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    return FreshEnvironment(tmp_path_factory.mktemp("fresh"))


def test_nothing_else_is_there(fresh: FreshEnvironment) -> None:
    """The environment is honest: what tests and ROS bring along is absent."""
    absent = ["pytest", "rosbags", "onnx", "rclpy", "colcon_core", "hypothesis"]
    code = f"from importlib.util import find_spec; print([n for n in {absent} if find_spec(n)])"
    assert fresh.run("python", "-c", code).strip() == "[]"
    assert "venv" in fresh.run("python", "-c", "import msga_ros; print(msga_ros.__file__)")


def test_the_declared_versions_are_those_of_the_tests(fresh: FreshEnvironment) -> None:
    for requirement in fresh.requirements:
        assert requirement.specifier.contains(version(requirement.name)), str(requirement)


def test_every_module_finds_its_imports(fresh: FreshEnvironment) -> None:
    missing: dict[str, str] = json.loads(fresh.run("python", "-W", "ignore", "-c", IMPORT_ALL))
    of_extras = {
        name for name, one in IMPORTS.items() if one.where not in (Where.NEEDED, Where.ROS)
    }
    unknown = {
        module: name for module, name in missing.items() if name.split(".")[0] not in of_extras
    }
    assert unknown == {}


def test_every_command_explains_itself(fresh: FreshEnvironment) -> None:
    assert fresh.run("msga", "--version").strip() == f"msga_ros {msga_ros.__version__}"
    listed = fresh.run("msga", "--help")
    assert [name for name in COMMANDS if name not in listed] == []


def test_match_finds_the_pose_of_two_images(fresh: FreshEnvironment, tmp_path: Path) -> None:
    """A plane of random texture seen from the side; matches and the picture are there."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    texture = cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)
    homography = np.array([[0.95, 0.02, 12.0], [-0.01, 0.97, 3.0], [1e-4, 5e-5, 1.0]])
    first, second, picture = (str(tmp_path / name) for name in ("a.png", "b.png", "m.png"))
    cv2.imwrite(first, texture)
    cv2.imwrite(second, cv2.warpPerspective(texture, homography, (320, 240)))
    camera = ("--camera", "300,300,160,120")
    printed = fresh.run("msga", "match", first, second, *camera, "-o", picture)
    assert "inliers" in printed
    assert cv2.imread(picture) is not None


def test_eval_judges_estimators_and_writes_a_report(
    fresh: FreshEnvironment, tmp_path: Path
) -> None:
    dump = write_dump(tmp_path / "dump.h5", [synthetic_pair(seed) for seed in (1, 2, 3)])
    figures, report = tmp_path / "figures.json", tmp_path / "report.html"
    estimators = ("-e", "msga+poselib", "-e", "ratio+poselib")
    outputs = ("--json", str(figures), "--report", str(report))
    fresh.run("msga", "eval", str(dump), *estimators, *outputs)
    assert "msga+poselib" in figures.read_text()
    assert report.read_text().rstrip().endswith("</html>")
