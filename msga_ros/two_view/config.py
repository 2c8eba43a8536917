"""Configuration of the two-view pipeline: frozen dataclasses, one YAML layout.

The same file serves the library and the node: either the groups stand at the top level, or below
`<node>/ros__parameters` as in a ROS 2 parameter file. Groups and names are those of the node's
parameters (`frontend.*`, `sieve.*`, `network.*`, `pose.*`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from msga_ros.configuration.stage_settings import own_settings
from msga_ros.configuration.yaml_dataclass import build, flatten, read_yaml, require
from msga_ros.frontend import FRONTENDS
from msga_ros.frontend.config import FrontendConfig
from msga_ros.geometry.robust import SOLVERS
from msga_ros.two_view.sieves import SIEVES
from msga_ros.two_view.sieves.msga import NetworkConfig

NO_REFINEMENT = "none"  # of the pose: the sieve's own solution stands


def refinements() -> tuple[str, ...]:
    """What `pose.refine` may be."""
    return (NO_REFINEMENT, *SOLVERS.names())


@dataclass(frozen=True)
class SieveConfig:
    """Which sieve tells true matches from false ones."""

    name: str = "msga"  # `SIEVES` lists them; none: all matches pass, the solver alone decides
    own: object | None = None  # `Config` of the sieve; None: as by default


@dataclass(frozen=True)
class PoseConfig:
    """Inliers to relative pose."""

    # none (the sieve's own solution), or from its best matches one of `SOLVERS`: graduated (no
    # sampling), poselib or magsac (RANSAC)
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
            self.refine == NO_REFINEMENT or self.refine in SOLVERS,
            f"pose.refine must be one of {', '.join(refinements())}, not {self.refine!r}",
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
    sieve: SieveConfig = field(default_factory=SieveConfig)

    @classmethod
    def load(cls, path: str | Path | None = None, **overrides: Any) -> PipelineConfig:
        """Read `path` (YAML), then apply `overrides`.

        An override is a whole group (`pose={"refine": "poselib"}`) or one entry with a dotted name
        (`**{"pose.refine": "poselib"}`). Groups of the file that are the node's alone (`sync`,
        `publish`, ...) are ignored; an unknown entry inside a pipeline group is a `ConfigError`.
        Settings that a front end or a sieve has of its own are `frontend.NAME.ENTRY` and
        `sieve.NAME.ENTRY`.
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
        return cls(**{name: _group(name, entries) for name, entries in groups.items()})


_GROUPS: dict[str, type] = {
    "frontend": FrontendConfig,
    "sieve": SieveConfig,
    "network": NetworkConfig,
    "pose": PoseConfig,
}
_OWN = {"frontend": FRONTENDS, "sieve": SIEVES}  # groups whose implementations have settings too


def _group(name: str, entries: dict[str, Any]) -> Any:
    common = {key: value for key, value in entries.items() if "." not in key}
    config = build(_GROUPS[name], name, common)
    own = {key: value for key, value in entries.items() if "." in key}
    if not own:
        return config
    require(name in _OWN, f"unknown configuration entry '{name}.{next(iter(own), '')}'")
    return replace(config, own=own_settings(_OWN[name], name, config.name, own))
