"""The pose stage of the pipeline: the network's inliers to a motion, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.config import PoseConfig
from msga_ros.geometry.covariance import relative_pose_covariance
from msga_ros.geometry.pose import PoseError, median_parallax, pose_from_essential
from msga_ros.geometry.robust import ROBUST_ESTIMATORS
from msga_ros.geometry.triangulation import parallax_angles

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """`x1 = R x0 + t` with unit t, the matches that agree with it, and its covariance.

    All NaN, and `inlier` what was known before, where there is no motion (`known` is False).
    """

    essential: Array  # (3, 3), Frobenius norm 1
    rotation: Array  # (3, 3)
    translation: Array  # (3,)
    covariance: Array  # (6, 6), see msga_ros.geometry.covariance
    inlier: NDArray[np.bool_]  # (N,)
    median_parallax: float  # rad, over the inliers

    @property
    def known(self) -> bool:
        """Whether there is a motion."""
        return bool(np.isfinite(self.rotation).all())


def unknown_motion(inlier: NDArray[np.bool_]) -> Motion:
    """No motion, for matches of which `inlier` (N,) were thought to be right."""
    nan = np.full((6, 6), np.nan)
    return Motion(nan[:3, :3], nan[:3, :3], nan[0, :3], nan, inlier, float("nan"))


def estimate_motion(
    essential: Array,
    correspondences: Array,
    candidates: NDArray[np.bool_],
    config: PoseConfig,
    mean_focal: float,
) -> Motion:
    """The motion in the network's `essential` (3, 3), or refined on its inliers.

    Args:
        essential: the network's weighted solution.
        correspondences: (N, 4), normalised coordinates.
        candidates: (N,) bool, the network's inliers.
        config: `refine` says how; where that finds no motion, the network's own stands.
        mean_focal: pixels, to turn `threshold_px` into normalised units.

    Inliers are candidates that agree with the motion: with a robust estimator, those that it calls
    so; without one, all but the matches that would clearly lie behind a camera.
    """
    chosen = correspondences[candidates]
    points0, points1 = chosen[:, :2], chosen[:, 2:]
    threshold = config.threshold_px / mean_focal
    try:
        pose = pose_from_essential(essential, points0, points1)
    except PoseError:  # NaN, or a rank below 2: the candidates do not determine a motion
        return unknown_motion(candidates)
    rotation, translation = pose.rotation, pose.translation
    # The sign of a depth says nothing where the rays are parallel but for the noise.
    certain = parallax_angles(points0, points1, rotation) > 2 * threshold
    agree = pose.in_front | ~certain

    if config.refine != "none":
        refined = ROBUST_ESTIMATORS[config.refine](points0, points1, threshold, seed=config.seed)
        if refined.success:
            essential, rotation = refined.essential, refined.rotation
            translation, agree = refined.translation, refined.inlier

    inlier = candidates.copy()
    inlier[candidates] = agree
    kept0, kept1 = points0[agree], points1[agree]
    return Motion(
        essential=essential / np.linalg.norm(essential),
        rotation=rotation,
        translation=translation,
        covariance=relative_pose_covariance(
            kept0, kept1, rotation, translation, minimum_sigma=threshold
        ),
        inlier=inlier,
        median_parallax=median_parallax(kept0, kept1, rotation),
    )
