"""Configuration of the two-view pipeline: frozen dataclasses, one YAML layout.

The same file serves the library and the node: either the groups stand at the top level, or below
`<node>/ros__parameters` as in a ROS 2 parameter file. Groups and names are those of the node's
parameters (`frontend.*`, `network.*`, `pose.*`).
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

REFINEMENTS = ("none", "graduated", "poselib", "magsac")  # of the pose: see `PoseConfig.refine`


class ConfigError(ValueError):
    """An unknown entry, or a value of the wrong type or out of range; the message names it."""


@dataclass(frozen=True)
class FrontendConfig:
    """Images to putative matches."""

    name: str = "sift"  # which front end; msga_ros.frontend.available() lists them
    max_keypoints: int = 2000  # strongest keypoints kept in each view
    max_image_size: int = (
        0  # longest side, in pixels, that features are extracted at; 0: as received
    )
    ratio: float = 0.95  # ratio test: keep best / second-best distance below this; 1.0: off
    mutual: bool = True  # keep only matches that are each other's nearest neighbours
    max_matches: int = 0  # of those, keep so many with the smallest ratios; 0: all

    def __post_init__(self) -> None:
        _require(self.max_keypoints >= 8, "frontend.max_keypoints must be at least 8")
        _require(self.max_image_size >= 0, "frontend.max_image_size must not be negative")
        _require(0.0 < self.ratio <= 1.0, "frontend.ratio must be in (0, 1]")
        _require(self.max_matches >= 0, "frontend.max_matches must not be negative")


@dataclass(frozen=True)
class NetworkConfig:
    """Putative matches to inlier probabilities."""

    weights: str = ""  # set in the package or path; empty: msga_net on a GPU, else msga_net_lite
    device: str = "auto"  # auto (CUDA where there is one), cpu, cuda or cuda:N
    inlier_threshold: float = 1e-4  # squared symmetric epipolar distance, normalised coordinates
    score_threshold: float = 0.0  # logit above which a match goes to the refinement of the pose

    def __post_init__(self) -> None:
        _require(self.inlier_threshold > 0, "network.inlier_threshold must be positive")


@dataclass(frozen=True)
class PoseConfig:
    """Inliers to relative pose."""

    # none (the network's weighted solution), or from its best matches: graduated (no sampling),
    # poselib or magsac (RANSAC)
    refine: str = "poselib"
    threshold_px: float = 1.0  # epipolar error of an inlier in refinement, pixels
    min_inliers: int = 12  # fewer: status TOO_FEW_MATCHES
    max_false_alarms: float = (
        1e-3  # as many inliers by chance, expected number; more: TOO_FEW_MATCHES
    )
    min_parallax_deg: float = 0.1  # median parallax below this: status DEGENERATE
    min_lead: float = 1.0  # standard errors that the motion must lead any other; else DEGENERATE
    # poselib and magsac stop once a better motion is less likely than 1 - confidence, and after so
    # many random samples at the latest
    confidence: float = 0.9999
    max_iterations: int = 10_000
    seed: int = 0  # of the random samples

    def __post_init__(self) -> None:
        _require(
            self.refine in REFINEMENTS,
            f"pose.refine must be one of {', '.join(REFINEMENTS)}, not {self.refine!r}",
        )
        _require(self.threshold_px > 0, "pose.threshold_px must be positive")
        _require(self.min_inliers >= 8, "pose.min_inliers must be at least 8")
        _require(self.max_false_alarms > 0, "pose.max_false_alarms must be positive")
        _require(self.min_parallax_deg >= 0, "pose.min_parallax_deg must not be negative")
        _require(self.min_lead >= 0, "pose.min_lead must not be negative")
        _require(0.0 < self.confidence < 1.0, "pose.confidence must be between 0 and 1")
        _require(self.max_iterations >= 1, "pose.max_iterations must be at least 1")


@dataclass(frozen=True)
class PipelineConfig:
    """Everything that `TwoViewPipeline` needs to know."""

    frontend: FrontendConfig = field(default_factory=FrontendConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    pose: PoseConfig = field(default_factory=PoseConfig)

    @classmethod
    def load(cls, path: str | Path | None = None, **overrides: Any) -> PipelineConfig:
        """Read `path` (YAML), then apply `overrides`.

        An override is a whole group (`pose={"refine": "poselib"}`) or one entry with a dotted name
        (`**{"pose.refine": "poselib"}`). Groups of the file that are the node's alone (`sync`,
        `publish`, ...) are ignored; an unknown entry inside a pipeline group is a `ConfigError`.
        """
        groups: dict[str, dict[str, Any]] = {name: {} for name in _GROUPS}
        if path is not None:
            for name, value in _flatten(_read_yaml(Path(path))).items():
                group, _, entry = name.partition(".")
                if group in groups:
                    _require(bool(entry), f"{path}: {group} must be a group of entries")
                    groups[group][entry] = value
        for name, value in _flatten(overrides).items():
            group, _, entry = name.partition(".")
            _require(group in groups and bool(entry), f"unknown configuration entry {name!r}")
            groups[group][entry] = value
        return cls(**{name: _build(_GROUPS[name], name, groups[name]) for name in _GROUPS})


_GROUPS: dict[str, type] = {
    "frontend": FrontendConfig,
    "network": NetworkConfig,
    "pose": PoseConfig,
}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not a readable YAML file ({error})") from error
    document = {} if document is None else document
    _require(isinstance(document, dict), f"{path}: a mapping of groups is expected")
    for value in document.values():
        if isinstance(value, dict) and "ros__parameters" in value:
            document = value["ros__parameters"] or {}
            _require(isinstance(document, dict), f"{path}: ros__parameters must be a mapping")
            break
    return document


def _flatten(groups: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in groups.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _build(kind: type, group: str, entries: dict[str, Any]) -> Any:
    types = typing.get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)}
    checked: dict[str, Any] = {}
    for name, value in entries.items():
        _require(name in known, f"unknown configuration entry '{group}.{name}'")
        expected = types[name]
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        _require(
            isinstance(value, expected) and isinstance(value, bool) == (expected is bool),
            f"{group}.{name} must be of type {expected.__name__}, not {type(value).__name__}",
        )
        checked[name] = value
    return kind(**checked)
