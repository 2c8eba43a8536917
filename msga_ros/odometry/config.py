"""Settings of the odometry."""

from __future__ import annotations

from dataclasses import dataclass


class OdometryError(ValueError):
    """Settings or input that the odometry cannot work with; the message says what."""


@dataclass(frozen=True)
class OdometryConfig:
    """Settings of stereo and mono odometry; lengths in the image are pixels."""

    rig_threshold_px: float = 1.5  # epipolar error of a stereo match under the known rig
    rig_sigma_deg: float = 0.1  # how well the right camera's rotation is calibrated; 0: exactly
    reprojection_px: float = 2.0  # of an inlier of the first guess (absolute pose from points)
    gate_px: float = 1.0  # largest standard deviation that inliers are judged with
    noise_px: float = 0.0  # standard deviation of a coordinate; 0: from the residuals
    min_noise_px: float = 1.0  # smallest value of that: residuals hide systematic errors
    systematic_share: float = 0.005  # of each motion, that calibration and lens leave unexplained
    min_inliers: int = 12  # fewer: the motion is unknown
    keyframe_share: float = 0.5  # new keyframe once the share of its points still seen is below
    keyframe_inliers: int = 60  # or fewer than that are left
    min_parallax_deg: float = 1.0  # mono: median parallax that a new keyframe takes
    seed: int = 0  # of the robust estimators

    def __post_init__(self) -> None:
        positive = ("rig_threshold_px", "reprojection_px", "gate_px", "min_noise_px")
        for name in positive:
            if not getattr(self, name) > 0:
                raise OdometryError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("noise_px", "min_parallax_deg", "rig_sigma_deg", "systematic_share"):
            if getattr(self, name) < 0:
                raise OdometryError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.min_inliers < 6:
            raise OdometryError(f"min_inliers must be at least 6, not {self.min_inliers}")
        if not 0 <= self.keyframe_share <= 1:
            raise OdometryError(f"keyframe_share must be in 0..1, not {self.keyframe_share}")
