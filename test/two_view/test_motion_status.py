"""What a motion is worth: the limits of the configuration, and whose errors are independent."""

from __future__ import annotations

import numpy as np
import pytest

from msga_ros.two_view.config import PoseConfig
from msga_ros.two_view.motion import Motion, motion_status
from msga_ros.two_view.result import Status


def motion(over_noise: float, independent: bool) -> Motion:
    everybody = np.ones(50, dtype=bool)
    return Motion(
        essential=np.eye(3),
        rotation=np.eye(3),
        translation=np.array([1.0, 0.0, 0.0]),
        covariance=np.eye(6),
        candidate=everybody,
        inlier=everybody,
        inlier_probability=np.ones(50),
        median_parallax=0.1,
        parallax_over_noise=over_noise,
        false_alarms=0.0,
        ambiguous=False,
        independent=independent,
    )


@pytest.mark.parametrize(
    ("over_noise", "independent", "status"),
    [
        (3.1, False, Status.OK),
        (2.9, False, Status.DEGENERATE),
        (2.9, True, Status.OK),
        (2.0, True, Status.DEGENERATE),
    ],
)
def test_independent_matches_need_less_parallax_over_their_noise(
    over_noise: float, independent: bool, status: Status
) -> None:
    assert motion_status(motion(over_noise, independent), PoseConfig()) is status
