"""Configuration of the two-view pipeline: frozen dataclasses, one YAML layout.

The same file serves the library and the node: either the groups stand at the top level, or below
`<node>/ros__parameters` as in a ROS 2 parameter file. Groups and names are those of the node's
parameters (`frontend.*`, `second_frontend.*`, `sieve.*`, `network.*`, `pose.*`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from msga_ros.configuration.setting import check_ranges, setting
from msga_ros.configuration.stage_settings import own_settings
from msga_ros.configuration.yaml_dataclass import build, flatten, read_yaml, require
from msga_ros.frontend import FRONTENDS
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.matchers import AUTOMATIC as FITTING
from msga_ros.frontend.matchers import matcher_names
from msga_ros.geometry.robust import SOLVERS
from msga_ros.two_view.presets import configuration_file
from msga_ros.two_view.sieves import AUTOMATIC, SIEVES, sieve_names
from msga_ros.two_view.sieves.msga import NetworkConfig

NO_REFINEMENT = "none"  # of the pose: the sieve's own solution stands
NO_SECOND = "none"  # of `second_frontend.name`: nobody else is asked

# Settings of its own that a front end has otherwise by default where it is the second one. Turned
# images: what keypoints have found in them is asked about seldom, and costs the most.
AS_SECOND: Mapping[str, Mapping[str, float]] = {"msga_dense": {"turn_below": 0.0}}


def refinements() -> tuple[str, ...]:
    """What `pose.refine` may be."""
    return (NO_REFINEMENT, *SOLVERS.names())


@dataclass(frozen=True)
class SieveConfig:
    """Which sieve tells true matches from false ones."""

    name: str = setting(
        AUTOMATIC,
        "What tells true matches from false ones: msga, the network; none: all matches go to the "
        "refinement of the pose; auto: none for what is learned (xfeat, disk, aliked, msga_dense), "
        "else msga.",
        choices=sieve_names,
        at_start=True,
    )
    every: int = setting(
        8,
        "Where the front end follows points: of how many pairs in a row one is judged by the sieve "
        "and solved from the beginning; the motion of the others goes on from it. 1: each.",
        minimum=1,
        maximum=1000,
    )
    own: object | None = None  # `Config` of the sieve; None: as by default


def second_names() -> tuple[str, ...]:
    """What `second_frontend.name` may be."""
    return (NO_SECOND, *FRONTENDS.names())


@dataclass(frozen=True)
class OwnSettings:
    """What the second front end and its sieve have of their own; None: as by default."""

    frontend: object | None = None
    sieve: object | None = None


@dataclass(frozen=True)
class SecondConfig:
    """A second front end for the pairs that the first one refuses."""

    name: str = setting(
        NO_SECOND,
        "A second front end, which is asked about the two images where the matches of the first "
        "one agree on no motion; its result stands where its status is OK and matches of the first "
        "one confirm it. none: nobody is asked. "
        "The other settings of frontend but name, matcher, max_keypoints and max_matches are for "
        "both.",
        choices=second_names,
        at_start=True,
    )
    matcher: str = setting(
        FITTING,
        "As frontend.matcher, of the second front end.",
        choices=matcher_names,
        at_start=True,
    )
    sieve: str = setting(
        AUTOMATIC, "As sieve.name, of the second front end.", choices=sieve_names, at_start=True
    )
    max_keypoints: int = setting(
        2000, "As frontend.max_keypoints, of the second front end.", minimum=8, maximum=100_000
    )
    max_matches: int = setting(
        0, "As frontend.max_matches, of the second front end.", minimum=0, maximum=1_000_000
    )
    max_chance: float = setting(
        1e-6,
        "The second front end's motion stands only where as many of the first one's matches would "
        "agree with it by chance with a probability below this; 1.0: do not look.",
        minimum=1e-300,
        maximum=1.0,
    )
    own: OwnSettings | None = None

    def __post_init__(self) -> None:
        check_ranges(self, "second_frontend")

    @property
    def asked(self) -> bool:
        """Whether there is a second front end."""
        return self.name != NO_SECOND


@dataclass(frozen=True)
class PoseConfig:
    """Inliers to relative pose."""

    refine: str = setting(
        "poselib",
        "Pose from the network's own weighted solution (none), or from its best matches: graduated "
        "(no random sampling), poselib or magsac (RANSAC).",
        choices=refinements,
    )
    threshold_px: float = setting(
        1.0,
        "Epipolar error of an inlier in refinement.",
        unit="px",
        minimum=0.01,
        maximum=100.0,
    )
    min_inliers: int = setting(
        12, "Fewer inliers than this: status TOO_FEW_MATCHES.", minimum=8, maximum=100_000
    )
    max_false_alarms: float = setting(
        1e-3,
        "Expected number of motions with as many inliers by chance; above this: status "
        "TOO_FEW_MATCHES. Matches that a sieve picked are alike by choice: of them a motion is OK "
        "below a billionth of it.",
        minimum=1e-30,
        maximum=1e300,
    )
    min_parallax_deg: float = setting(
        0.1,
        "Median parallax below this: status DEGENERATE.",
        unit="deg",
        minimum=0.0,
        maximum=180.0,
    )
    min_parallax_over_noise: float = setting(
        3.0,
        "What a turn on the spot leaves unexplained, over the epipolar error of the inliers "
        "(medians of both); less: status DEGENERATE. Matches of a turn that are not exact seem to "
        "have a parallax. Matches with independent errors (all but learned ones) need 0.7 of it. "
        "0: do not look.",
        minimum=0.0,
        maximum=100.0,
    )
    min_lead: float = setting(
        1.0,
        "By how many standard errors the motion must explain the matches better than any other; "
        "less: status DEGENERATE. 0: do not look for another.",
        minimum=0.0,
        maximum=100.0,
    )
    confidence: float = setting(
        0.9999,
        "poselib and magsac stop sampling once a better motion is less likely than one minus this.",
        minimum=0.01,
        maximum=0.9999999,
    )
    max_iterations: int = setting(
        10_000,
        "Random samples of poselib and magsac at most; fewer bound the time of a hopeless pair.",
        minimum=1,
        maximum=10_000_000,
    )
    seed: int = setting(
        0,
        "Seed of the random samples; the same images give the same result.",
        minimum=0,
        maximum=2_147_483_647,
    )

    def __post_init__(self) -> None:
        check_ranges(self, "pose")


@dataclass(frozen=True)
class PipelineConfig:
    """Everything that `TwoViewPipeline` needs to know."""

    frontend: FrontendConfig = field(default_factory=FrontendConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    pose: PoseConfig = field(default_factory=PoseConfig)
    sieve: SieveConfig = field(default_factory=SieveConfig)
    second_frontend: SecondConfig = field(default_factory=SecondConfig)

    @property
    def alone(self) -> PipelineConfig:
        """The same without a second front end."""
        return replace(self, second_frontend=SecondConfig())

    @property
    def of_second(self) -> PipelineConfig:
        """The configuration that the second front end works with."""
        second = self.second_frontend
        own = second.own or OwnSettings()
        frontend = replace(
            self.frontend,
            name=second.name,
            matcher=second.matcher,
            max_keypoints=second.max_keypoints,
            max_matches=second.max_matches,
            own=own.frontend or _own("frontend", second.name, _as_second(second.name)),
        )
        sieve = replace(self.sieve, name=second.sieve, own=own.sieve)
        return replace(self.alone, frontend=frontend, sieve=sieve)

    @classmethod
    def load(cls, path: str | Path | None = None, **overrides: object) -> PipelineConfig:
        """Read `path` (YAML, or the name of a preset), then apply `overrides`.

        An override is a whole group (`pose={"refine": "poselib"}`) or one entry with a dotted name
        (`**{"pose.refine": "poselib"}`). Groups of the file that are the node's alone (`sync`,
        `publish`, ...) are ignored; an unknown entry inside a pipeline group is a `ConfigError`.
        Settings that a front end or a sieve has of its own are `frontend.NAME.ENTRY` and
        `sieve.NAME.ENTRY`.
        """
        groups: dict[str, dict[str, object]] = {name: {} for name in _GROUPS}
        if path is not None:
            for name, value in flatten(read_yaml(configuration_file(path))).items():
                group, _, entry = name.partition(".")
                if group in groups:
                    require(bool(entry), f"{path}: {group} must be a group of entries")
                    groups[group][entry] = value
        for name, value in flatten(overrides).items():
            group, _, entry = name.partition(".")
            require(group in groups and bool(entry), f"unknown configuration entry {name!r}")
            groups[group][entry] = value
        made = {name: _group(name, entries) for name, entries in groups.items()}
        second: SecondConfig = made["second_frontend"]
        if second.asked:
            own = OwnSettings(
                _own("frontend", second.name, _as_second(second.name) | groups["frontend"]),
                _own("sieve", second.sieve, groups["sieve"]),
            )
            made["second_frontend"] = replace(second, own=own)
        return cls(**made)


_GROUPS: dict[str, type] = {
    "frontend": FrontendConfig,
    "second_frontend": SecondConfig,
    "sieve": SieveConfig,
    "network": NetworkConfig,
    "pose": PoseConfig,
}
_OWN = {"frontend": FRONTENDS, "sieve": SIEVES}  # groups whose implementations have settings too


def _group(name: str, entries: dict[str, object]) -> Any:
    common = {key: value for key, value in entries.items() if "." not in key}
    config = build(_GROUPS[name], name, common)
    if len(common) == len(entries):
        return config
    require(name in _OWN, f"unknown configuration entry '{name}.{_dotted(entries)[0]}'")
    return replace(config, own=_own(name, config.name, entries))


def _own(group: str, name: str, entries: dict[str, object]) -> object | None:
    """What the stage `name` has of its own among the entries of its group."""
    own = {key: entries[key] for key in _dotted(entries)}
    return own_settings(_OWN[group], group, name, own) if own else None


def _as_second(name: str) -> dict[str, object]:
    return {f"{name}.{entry}": value for entry, value in AS_SECOND.get(name, {}).items()}


def _dotted(entries: dict[str, object]) -> list[str]:
    return [key for key in entries if "." in key]
