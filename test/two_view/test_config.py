"""Configuration: from files and overrides, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.frontend.config import FrontendConfig
from msga_ros.two_view.config import PipelineConfig, PoseConfig


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_defaults_are_valid_and_need_no_file() -> None:
    config = PipelineConfig.load()
    assert config == PipelineConfig()
    assert config.frontend.name == "sift"
    assert config.network.device == "auto"


def test_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, "frontend:\n  name: orb\npose:\n  threshold_px: 2\n")
    config = PipelineConfig.load(path)
    assert config.frontend == FrontendConfig(name="orb")
    assert config.pose == PoseConfig(threshold_px=2.0)
    assert isinstance(config.pose.threshold_px, float)


def test_ros_parameter_file_gives_the_same(tmp_path: Path) -> None:
    text = """
/**:
  ros__parameters:
    mode: stereo
    sync.slop: 0.01
    frontend: {name: akaze, max_keypoints: 500}
    network.inlier_threshold: 1.0e-5
    publish: {markers: true}
"""
    config = PipelineConfig.load(write(tmp_path, text))
    assert config.frontend == FrontendConfig(name="akaze", max_keypoints=500)
    assert config.network.inlier_threshold == 1e-5
    assert config.pose == PoseConfig()


def test_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert PipelineConfig.load(write(tmp_path, "")) == PipelineConfig()


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "frontend: {name: orb, ratio: 0.8}\n")
    config = PipelineConfig.load(
        path, pose={"refine": "poselib"}, **{"frontend.name": "sift", "pose.seed": 7}
    )
    assert config.frontend == FrontendConfig(name="sift", ratio=0.8)
    assert config.pose == PoseConfig(refine="poselib", seed=7)


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"frontend.nmae": "sift"}, "frontend.nmae"),
        ({"fronted.name": "sift"}, "fronted.name"),
        ({"frontend": 3}, "frontend"),
        ({"frontend.max_keypoints": 7}, "max_keypoints"),
        ({"frontend.max_keypoints": 100.5}, "int, not float"),
        ({"frontend.max_keypoints": True}, "int, not bool"),
        ({"frontend.mutual": 1}, "bool, not int"),
        ({"frontend.max_image_size": -1}, "max_image_size"),
        ({"frontend.ratio": 0.0}, "ratio"),
        ({"frontend.ratio": 1.1}, "ratio"),
        ({"frontend.name": None}, "str, not NoneType"),
        ({"network.inlier_threshold": 0}, "inlier_threshold"),
        ({"network.inlier_threshold": float("nan")}, "inlier_threshold"),
        ({"network.inlier_threshold": "small"}, "float, not str"),
        ({"pose.refine": "ransac"}, "ransac"),
        ({"pose.threshold_px": -1.0}, "threshold_px"),
        ({"pose.min_inliers": 4}, "min_inliers"),
        ({"pose.min_parallax_deg": -0.1}, "min_parallax_deg"),
        ({"frontend.max_matches": -1}, "max_matches"),
        ({"pose.min_lead": -1.0}, "min_lead"),
        ({"pose.confidence": 1.0}, "confidence"),
        ({"pose.max_iterations": 0}, "max_iterations"),
    ],
)
def test_mistakes_are_named(overrides: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        PipelineConfig.load(**overrides)


@pytest.mark.parametrize(
    "text",
    ["- a\n- b\n", "frontend: [1, 2", "just text", "pose: {1: 2}\n", "pose: 3\n"],
)
def test_a_broken_file_is_a_config_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        PipelineConfig.load(write(tmp_path, text))


def test_a_missing_file_is_a_config_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        PipelineConfig.load(tmp_path / "absent.yaml")
