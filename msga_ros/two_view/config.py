"""Configuration of the two-view pipeline: frozen dataclasses, one YAML layout.

The same file serves the library and the node: either the groups stand at the top level, or below
`<node>/ros__parameters` as in a ROS 2 parameter file. Groups and names are those of the node's
parameters (`frontend.*`, `network.*`, `pose.*`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msga_ros.configuration.yaml_dataclass import build, flatten, read_yaml, require
from msga_ros.frontend.config import FrontendConfig

REFINEMENTS = ("none", "graduated", "poselib", "magsac")  # of the pose: see `PoseConfig.refine`


@dataclass(frozen=True)
class NetworkConfig:
    """Putative matches to inlier probabilities."""

    weights: str = ""  # set in the package or path; empty: msga_net on a GPU, else msga_net_lite
    device: str = "auto"  # auto (CUDA where there is one), cpu, cuda or cuda:N
    inlier_threshold: float = 1e-4  # squared symmetric epipolar distance, normalised coordinates
    score_threshold: float = 0.0  # logit above which a match goes to the refinement of the pose

    def __post_init__(self) -> None:
        require(self.inlier_threshold > 0, "network.inlier_threshold must be positive")


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
        require(
            self.refine in REFINEMENTS,
            f"pose.refine must be one of {', '.join(REFINEMENTS)}, not {self.refine!r}",
        )
        require(self.threshold_px > 0, "pose.threshold_px must be positive")
        require(self.min_inliers >= 8, "pose.min_inliers must be at least 8")
        require(self.max_false_alarms > 0, "pose.max_false_alarms must be positive")
        require(self.min_parallax_deg >= 0, "pose.min_parallax_deg must not be negative")
        require(self.min_lead >= 0, "pose.min_lead must not be negative")
        require(0.0 < self.confidence < 1.0, "pose.confidence must be between 0 and 1")
        require(self.max_iterations >= 1, "pose.max_iterations must be at least 1")


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
            for name, value in flatten(read_yaml(Path(path))).items():
                group, _, entry = name.partition(".")
                if group in groups:
                    require(bool(entry), f"{path}: {group} must be a group of entries")
                    groups[group][entry] = value
        for name, value in flatten(overrides).items():
            group, _, entry = name.partition(".")
            require(group in groups and bool(entry), f"unknown configuration entry {name!r}")
            groups[group][entry] = value
        return cls(**{name: build(_GROUPS[name], name, groups[name]) for name in _GROUPS})


_GROUPS: dict[str, type] = {
    "frontend": FrontendConfig,
    "network": NetworkConfig,
    "pose": PoseConfig,
}
