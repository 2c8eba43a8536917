"""The table of parameters, their checks and their places in the pipeline's configuration."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_package import tiny, tiny_folder

from msga_ros.frontend.config import FrontendConfig
from msga_ros.odometry.config import OdometryConfig
from msga_ros.stream.parameter_table import BY_NAME, PARAMETERS, own_parameters
from msga_ros.stream.settings import Settings, SettingsError
from msga_ros.two_view.config import PipelineConfig, PoseConfig
from msga_ros.two_view.sieves.msga import NetworkConfig

__all__ = ["tiny", "tiny_folder"]  # fixtures

REPOSITORY = Path(__file__).resolve().parents[2]


def test_defaults_are_those_of_the_library() -> None:
    settings = Settings.from_values({})
    assert settings.pipeline == PipelineConfig()
    assert settings.stereo


def test_every_entry_of_the_pipeline_is_a_parameter() -> None:
    for group in dataclasses.fields(PipelineConfig):
        for entry in dataclasses.fields(getattr(PipelineConfig(), group.name)):
            if entry.name != "own":  # of the front end or sieve that is chosen
                assert f"{group.name}.{entry.name}" in BY_NAME


def test_every_parameter_is_described_and_every_number_has_a_range() -> None:
    for one in PARAMETERS:
        assert len(one.description) > 20, one.name
        assert one.check(one.default) is None, one.name
        if isinstance(one.default, (int, float)) and not isinstance(one.default, bool):
            assert one.minimum is not None and one.maximum is not None, one.name
        assert one.read_only == ("Read-only" in one.description), one.name


def test_the_parameter_file_holds_every_parameter_with_its_default() -> None:
    text = (REPOSITORY / "config" / "msga.yaml").read_text()
    document = yaml.safe_load(text)
    groups = document["/**"]["ros__parameters"]
    flat: dict[str, Any] = {}
    for name, value in groups.items():
        entries = value.items() if isinstance(value, dict) else [(None, value)]
        flat |= {name if entry is None else f"{name}.{entry}": one for entry, one in entries}
    assert flat == {one.name: one.default for one in PARAMETERS}
    for name, value in flat.items():
        assert BY_NAME[name].check(value) is None
    # A comment for each parameter, at its end or above it.
    lines = text.splitlines()
    for one in PARAMETERS:
        entry = one.name.rpartition(".")[2] + ":"
        at = next(i for i, line in enumerate(lines) if line.strip().startswith(entry))
        assert "#" in lines[at] or lines[at - 1].strip().startswith("#"), one.name


def test_the_parameter_file_says_what_is_read_only() -> None:
    text = (REPOSITORY / "config" / "msga.yaml").read_text()
    group, comment = "", ""
    said: dict[str, bool] = {}
    for line in text.splitlines()[5:]:
        entry, _, remark = line.partition("#")
        if not entry.strip():
            comment = comment + remark if remark else ""
            continue
        name = entry.strip().partition(":")[0]
        if entry.startswith("      "):
            name = f"{group}.{name}"
        elif entry.strip() == f"{name}:":
            group, comment = name, ""
            continue
        read_only = "read-only" in remark.lower() or "read-only" in comment.lower()
        said[name] = read_only
        if "all of these" not in comment:
            comment = ""
    assert said == {one.name: one.read_only for one in PARAMETERS}


def test_the_documents_table_is_made_from_the_declarations() -> None:
    script = runpy.run_path(str(REPOSITORY / "scripts" / "make_parameter_docs.py"))
    text = script["FILE"].read_text(encoding="utf-8")
    assert text == script["document"](), "run python scripts/make_parameter_docs.py"
    for one in PARAMETERS:
        (row,) = (line for line in text.splitlines() if line.startswith(f"| `{one.name}` |"))
        assert row.count("|") == 7
        assert ("| start |" in row) == one.read_only


def test_ranges_of_the_library_are_those_of_the_node() -> None:
    groups = {
        "frontend": FrontendConfig,
        "network": NetworkConfig,
        "pose": PoseConfig,
        "odometry": OdometryConfig,
    }
    for one in PARAMETERS:
        group, _, entry = one.name.partition(".")
        if group not in groups or entry not in groups[group].__dataclass_fields__:
            continue
        for limit, beyond in ((one.minimum, -1), (one.maximum, 1)):
            if limit is not None:
                value = type(one.default)(limit)
                groups[group](**{entry: value})
                with pytest.raises(ValueError, match=one.name):
                    groups[group](**{entry: value + beyond * max(abs(value), 1)})


def test_odometry_means_the_same_to_the_node_and_to_msga_vo() -> None:
    settings = Settings.from_values({"odometry.keyframe_share": 0.7, "odometry.min_inliers": 20})
    assert settings.odometry == OdometryConfig(keyframe_share=0.7, min_inliers=20)
    assert Settings.from_values({}).odometry == OdometryConfig()
    for entry in OdometryConfig.__dataclass_fields__:
        assert f"odometry.{entry}" in BY_NAME


def test_a_wrong_name_comes_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"frontend\.ratoi; frontend\.ratio is meant\?"):
        Settings.from_values({"frontend.ratoi": 0.9})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mode": "mono"}, "mode must be one of stereo, temporal"),
        ({"frontend.ratio": 1.5}, "frontend.ratio must be at most 1"),
        ({"frontend.ratio": float("nan")}, "finite"),
        ({"frontend.ratio": "high"}, "frontend.ratio is a double"),
        ({"frontend.mutual": 1}, "frontend.mutual is a bool"),
        ({"frontend.max_keypoints": True}, "frontend.max_keypoints is an integer"),
        ({"pose.min_inliers": 3}, "pose.min_inliers must be at least 8"),
        ({"pose.refine": "ransac"}, "pose.refine must be one of"),
        ({"sync.slop": -0.1}, "sync.slop must be at least 0"),
        ({"nonsense": 1}, "unknown parameter nonsense"),
    ],
)
def test_refused_with_a_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        Settings.from_values({}).changed(changes)


def test_several_changes_are_all_or_none() -> None:
    before = Settings.from_values({"frontend.ratio": 0.9})
    with pytest.raises(SettingsError):
        before.changed({"frontend.ratio": 0.8, "pose.threshold_px": -1.0})
    assert before["frontend.ratio"] == 0.9
    after = before.changed({"frontend.ratio": 0.8, "pose.threshold_px": 2.0})
    assert (after.pipeline.frontend.ratio, after.pipeline.pose.threshold_px) == (0.8, 2.0)
    assert before.pipeline.frontend.ratio == 0.9


def test_thresholds_of_the_keyframe_reach_the_policy() -> None:
    settings = Settings.from_values(
        {
            "mode": "temporal",
            "temporal.reference": "keyframe",
            "temporal.keyframe_max_parallax_deg": 3.0,
            "temporal.keyframe_min_inliers": 40,
        }
    )
    assert not settings.stereo
    assert settings.reference.kind == "keyframe"
    assert settings.reference.max_parallax_deg == 3.0
    assert settings.reference.min_inliers == 40


@pytest.mark.usefixtures("tiny")
def test_own_settings_without_a_description_say_whose_they_are() -> None:
    found = {
        one.name: one for one in own_parameters({"frontend.name": "tiny", "sieve.name": "tiny"})
    }
    assert found["sieve.tiny.least"].description == "Of the sieve tiny."
    assert found["frontend.tiny.most"].description == "Points looked at in each image."


def test_a_second_front_end_has_its_own_settings_too() -> None:
    both = {"second_frontend.name": "msga_dense", "frontend.msga_dense.longest": 320}
    config = Settings.from_values(both).pipeline
    assert config.of_second.frontend.own.longest == 320  # type: ignore[attr-defined]
    assert config.of_second.frontend.own.min_confidence == 0.3  # type: ignore[attr-defined]
    assert config.of_second.frontend.own.turn_below == 0.0  # type: ignore[attr-defined]
    first = Settings.from_values({"frontend.name": "msga_dense"})
    assert first["frontend.msga_dense.turn_below"] == 0.1
    assert config.frontend.own is None
    with pytest.raises(SettingsError, match=r"frontend\.msga_dense\.longest"):
        Settings.from_values({"frontend.msga_dense.longest": 320})  # nobody asks it
    with pytest.raises(SettingsError, match=r"second_frontend\.name must be one of none, sift"):
        Settings.from_values({"second_frontend.name": "surf"})
