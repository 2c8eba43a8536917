"""Parameters of the node `msga_loops`: its table, the files made of it, and what contradicts."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import yaml

from msga_ros.loops.config import LoopConfig
from msga_ros.stream.loops.parameters import LOOP_PARAMETERS
from msga_ros.stream.loops.settings import LoopSettings
from msga_ros.stream.node_settings import SettingsError
from msga_ros.two_view.config import PipelineConfig

REPOSITORY = Path(__file__).resolve().parents[3]


def test_defaults_are_those_of_the_library() -> None:
    settings = LoopSettings.from_values({})
    assert (settings.loops, settings.pipeline) == (LoopConfig(), PipelineConfig())
    assert settings.has_odometry and settings.mount is None


def test_every_parameter_is_described_and_every_number_has_a_range() -> None:
    assert len({one.name for one in LOOP_PARAMETERS}) == len(LOOP_PARAMETERS)
    for one in LOOP_PARAMETERS:
        assert len(one.description) > 20 and one.check(one.default) is None, one.name
        if isinstance(one.default, (int, float)) and not isinstance(one.default, bool):
            assert one.minimum is not None and one.maximum is not None, one.name
        assert one.read_only == ("Read-only" in one.description), one.name
        assert one.read_only or not one.name.startswith("loops."), one.name


def test_the_files_are_made_from_the_declarations() -> None:
    script = runpy.run_path(str(REPOSITORY / "scripts" / "make_parameter_docs.py"))
    for file, made in (("LOOP_FILE", "loop_document"), ("LOOP_CONFIG", "loop_config")):
        text = script[file].read_text(encoding="utf-8")
        assert text == script[made](), "run python scripts/make_parameter_docs.py"
    groups = yaml.safe_load(script["LOOP_CONFIG"].read_text())["/**"]["ros__parameters"]
    flat: dict[str, object] = {}
    for name, value in groups.items():
        entries = value.items() if isinstance(value, dict) else [(None, value)]
        flat |= {name if entry is None else f"{name}.{entry}": one for entry, one in entries}
    assert flat == {one.name: one.default for one in LOOP_PARAMETERS}
    for one in LOOP_PARAMETERS:
        assert one.check(flat[one.name]) is None  # of the same type


def test_the_place_of_the_camera_may_be_given() -> None:
    settings = LoopSettings.from_values({"odometry.camera_in_base": "1 2 3 0 0 0"})
    assert settings.mount is not None and np.allclose(settings.mount.position, [1, 2, 3])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"loops.optimise": True, "odometry.source": "none"}, "optimise needs an odometry"),
        ({"odometry.source": "wheels"}, "odometry.source must be one of topic, tf, none"),
        ({"odometry.source": "tf", "odometry.base_frame": ""}, "needs odometry.frame and"),
        ({"odometry.source": "tf", "map.frame": "/odom"}, "are both 'odom'"),
        ({"map.frame": "/"}, "map.frame is empty"),
        ({"odometry.camera_in_base": "1 2"}, "takes six numbers"),
        ({"depth.use": True, "stereo.use": True}, "one of them"),
        ({"right/calibration": "right.yaml"}, "stereo.use, which is off"),
        ({"loops.min_inliers": 0}, "loops.min_inliers must be at least 1"),
        ({"loops.candidate": 3}, "loops.candidates is meant"),
    ],
)
def test_what_contradicts_itself_is_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        LoopSettings.from_values(values)
