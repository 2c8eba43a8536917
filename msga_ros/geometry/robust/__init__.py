"""Robust estimators of the relative pose, by name: one file each behind `RobustEstimator`.

A new one is a file with an `estimate` and a line in `ROBUST_ESTIMATORS`.
"""

from __future__ import annotations

from msga_ros.geometry.robust import magsac, poselib
from msga_ros.geometry.robust.base import RobustEstimate, RobustEstimator

__all__ = ["ROBUST_ESTIMATORS", "RobustEstimate", "RobustEstimator"]

ROBUST_ESTIMATORS: dict[str, RobustEstimator] = {
    "magsac": magsac.estimate,
    "poselib": poselib.estimate,
}
