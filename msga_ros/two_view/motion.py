"""The motion between two views with the matches behind it, and what it is worth."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.two_view.config import PoseConfig
from msga_ros.two_view.result import Status

Array = NDArray[np.float64]

# Share of `pose.min_parallax_over_noise` that is asked of independent matches. After turns on the
# spot they had up to 1.9 (ORB) and 2.5 (SIFT, ambiguous anyway); ORB over short steps 2.5 to 4.
_INDEPENDENT = 0.7

# Share of `pose.max_false_alarms` that a motion of matches picked by a sieve may have to be OK. A
# sieve picks what looks like one motion, so that chance makes more of them agree than the test, of
# unrelated points, knows. On the development places, with four front ends, 15 of 60 wrong motions
# are refused so, and 2 of 556 that are right within 5 degrees.
_PICKED = 1e-9


@dataclass(frozen=True)
class Motion:
    """`x1 = R x0 + t` with unit t, the matches that agree with it, and its covariance.

    The motion is all NaN where there is none (`known` is False).
    """

    essential: Array  # (3, 3), Frobenius norm 1
    rotation: Array  # (3, 3)
    translation: Array  # (3,)
    covariance: Array  # (6, 6), see msga_ros.geometry.covariance
    candidate: NDArray[np.bool_]  # (N,), the matches that it was estimated from
    inlier: NDArray[np.bool_]  # (N,), those that agree with it
    inlier_probability: Array  # (N,), 0.5 at the network's inlier threshold from `essential`
    median_parallax: float  # rad, over the inliers
    parallax_over_noise: float  # what a turn leaves of the inliers over their epipolar errors
    false_alarms: float  # expected number of motions with as many inliers by chance
    ambiguous: bool  # a quite different motion explains the matches as well
    independent: bool = True  # the matches err each for itself, see `Matches.independent`

    @property
    def known(self) -> bool:
        """Whether there is a motion."""
        return bool(np.isfinite(self.rotation).all())

    @property
    def picked(self) -> bool:
        """Whether a sieve chose the candidates, of which `false_alarms` is asked. Of matches that
        are not independent it is asked of all."""
        return self.independent and not self.candidate.all()


def unknown_motion(motion: Motion) -> Motion:
    """What is left of `motion` where it means nothing: the matches, without a motion."""
    nan = np.full((6, 6), np.nan)
    return dataclasses.replace(
        motion,
        essential=nan[:3, :3],
        rotation=nan[:3, :3],
        translation=nan[0, :3],
        covariance=nan,
        median_parallax=float("nan"),
        parallax_over_noise=float("nan"),
    )


def least_parallax_over_noise(config: PoseConfig, independent: bool) -> float:
    """What a motion must have of it to be more than a turn on the spot."""
    return config.min_parallax_over_noise * (_INDEPENDENT if independent else 1.0)


def motion_status(motion: Motion, config: PoseConfig) -> Status:
    """What `motion` is worth by the limits of `config`."""
    by_chance = motion.false_alarms > config.max_false_alarms
    if not motion.known or motion.inlier.sum() < config.min_inliers or by_chance:
        return Status.TOO_FEW_MATCHES
    still = motion.median_parallax < math.radians(config.min_parallax_deg)
    least = least_parallax_over_noise(config, motion.independent)
    if motion.ambiguous or still or motion.parallax_over_noise < least:
        return Status.DEGENERATE
    if motion.picked and motion.false_alarms > _PICKED * config.max_false_alarms:
        return Status.TOO_FEW_MATCHES
    return Status.OK
