"""Results of two views as matches between features, which is what can be followed over time."""

from __future__ import annotations

from typing import cast

from msga_ros.odometry.matches import MatchesLike
from msga_ros.two_view.result import TwoViewResult

NO_FIXED_KEYPOINTS = "the front end has no fixed keypoints that could be followed"


def feature_matches(result: TwoViewResult) -> MatchesLike:
    """`result` itself, whose matches are known to be of features; where a second front end has
    spoken, whose matches are not, what the first one said.

    Raises `ValueError` where the front end has no fixed keypoints.
    """
    of_features = result.of_features
    if of_features.indices0 is None or of_features.indices1 is None:
        raise ValueError(NO_FIXED_KEYPOINTS)
    return cast(MatchesLike, of_features)
