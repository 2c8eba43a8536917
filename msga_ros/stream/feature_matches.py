"""Results of two views as matches between features, which is what can be followed over time."""

from __future__ import annotations

from typing import cast

from msga_ros.odometry.matches import MatchesLike
from msga_ros.two_view.result import TwoViewResult

NO_FIXED_KEYPOINTS = "the front end has no fixed keypoints that could be followed"


def feature_matches(result: TwoViewResult) -> MatchesLike:
    """`result` itself, whose matches are known to be of features.

    Raises `ValueError` where the front end has no fixed keypoints.
    """
    if result.indices0 is None or result.indices1 is None:
        raise ValueError(NO_FIXED_KEYPOINTS)
    return cast(MatchesLike, result)
