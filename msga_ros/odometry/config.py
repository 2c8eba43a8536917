"""Settings of the odometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msga_ros.configuration.setting import check_ranges, setting


def _setting(default: float, text: str, unit: str, minimum: float, maximum: float) -> Any:
    return setting(default, text, unit=unit, minimum=minimum, maximum=maximum, at_start=True)


class OdometryError(ValueError):
    """Settings or input that the odometry cannot work with; the message says what."""


@dataclass(frozen=True)
class OdometryConfig:
    """Settings of all odometries: of the node, `msga bag` and `msga vo` alike."""

    rig_threshold_px: float = _setting(
        1.5, "Epipolar error of a stereo match under the known rig.", "px", 0.01, 100.0
    )
    rig_sigma_deg: float = _setting(
        0.1,
        "How well the right camera's rotation is calibrated, standard deviation; 0: exactly.",
        "deg",
        0.0,
        45.0,
    )
    reprojection_px: float = _setting(
        2.0,
        "Reprojection error of an inlier of the first guess (absolute pose from points).",
        "px",
        0.01,
        100.0,
    )
    gate_px: float = _setting(
        1.0, "Largest standard deviation that inliers are judged with.", "px", 0.01, 100.0
    )
    noise_px: float = _setting(
        0.0, "Standard deviation of a coordinate; 0: from the residuals.", "px", 0.0, 100.0
    )
    min_noise_px: float = _setting(
        1.0,
        "Smallest standard deviation of a coordinate: residuals hide systematic errors.",
        "px",
        0.001,
        100.0,
    )
    systematic_share: float = _setting(
        0.005, "Share of each motion that calibration and lens leave unexplained.", "", 0.0, 1.0
    )
    min_inliers: int = _setting(12, "Fewer inliers: the motion is unknown.", "", 6, 100_000)
    keyframe_share: float = _setting(
        0.5, "A new keyframe once the share of its points still seen is below this.", "", 0.0, 1.0
    )
    keyframe_share_followed: float = _setting(
        0.8,
        "The same where the front end follows its points (tracks): metric odometry.",
        "",
        0.0,
        1.0,
    )
    keyframe_inliers: int = _setting(
        60, "A new keyframe once fewer points of the last one are seen.", "", 0, 100_000
    )
    keyframe_certainty: float = _setting(
        10.0,
        "Stereo with rig_sigma_deg 0: a new keyframe once the motion is longer than so many of its "
        "standard deviations, too; 0: by the share of the points alone.",
        "",
        0.0,
        1e6,
    )
    min_parallax_deg: float = _setting(
        1.0, "Mono: median parallax that a new keyframe takes.", "deg", 0.0, 180.0
    )
    depth_sigma: float = _setting(
        0.003,
        "Depth image: standard deviation of an inverse depth (0.003: 3 mm at 1 m, 27 mm at 3 m).",
        "1/m",
        1e-6,
        10.0,
    )
    depth_jump: float = _setting(
        0.05,
        "Depth image: no depth is read where the pixels around a keypoint differ by that share.",
        "",
        0.0,
        1.0,
    )
    seed: int = _setting(0, "Seed of the robust estimators.", "", 0, 2_147_483_647)

    def __post_init__(self) -> None:
        check_ranges(self, "odometry", OdometryError)
