"""Settings of the loops, each declared once: `msga loops` and the node take them from here."""

from __future__ import annotations

from dataclasses import dataclass

from msga_ros.configuration.setting import check_ranges, setting


@dataclass(frozen=True)
class LoopConfig:
    """What becomes a keyframe, what is proposed, what is accepted, and how the map is corrected."""

    candidates: int = setting(
        5, "Most similar keyframes that are verified.", minimum=1, maximum=1000
    )
    min_gap: float = setting(
        10.0,
        "Keyframes of the same run that are younger than this are no candidates.",
        unit="s",
        minimum=0.0,
        maximum=1e6,
    )
    min_inliers: int = setting(
        30, "A loop needs so many matches that agree.", minimum=1, maximum=100_000
    )
    keyframe_distance: float = setting(
        0.5,
        "A view is a keyframe when the camera has moved so far since the last one.",
        unit="m",
        minimum=0.0,
        maximum=1e6,
    )
    keyframe_angle: float = setting(
        15.0,
        "A view is a keyframe when the camera has turned so far since the last one.",
        unit="deg",
        minimum=0.0,
        maximum=180.0,
    )
    jump_distance: float = setting(
        1.0,
        "The odometry has jumped when it lies so far, and 1 g more, from where its velocity led: "
        "what follows is joined to the map by loops alone.",
        unit="m",
        minimum=0.0,
        maximum=1e6,
    )
    jump_angle: float = setting(
        60.0, "Likewise of its direction.", unit="deg", minimum=0.0, maximum=180.0
    )
    drift_distance: float = setting(
        0.05,
        "Standard deviation of the odometry's position after a metre; it grows with the square "
        "root of the distance, and a turn of a radian counts as half a metre.",
        unit="m",
        minimum=1e-6,
        maximum=1e3,
    )
    drift_angle: float = setting(
        1.0,
        "Likewise of its direction after a metre.",
        unit="deg",
        minimum=1e-6,
        maximum=180.0,
    )
    support: int = setting(
        1,
        "So many other loops of neighbouring keyframes must agree with a loop, by the odometry "
        "between them, before it is accepted. Loops without a length support no other.",
        minimum=0,
        maximum=100,
    )
    support_distance: float = setting(
        10.0,
        "Travelled between a loop and another that supports it, at most.",
        unit="m",
        minimum=0.0,
        maximum=1e6,
    )
    strong_inliers: int = setting(
        100,
        "A loop with so many matches that agree needs no support.",
        minimum=1,
        maximum=1_000_000,
    )
    optimise: bool = setting(
        False,
        "Keep a pose graph, correct the map with it, and take back loops that contradict it. Needs "
        "the extra `slam` (GTSAM).",
    )

    def __post_init__(self) -> None:
        check_ranges(self, "loops")
