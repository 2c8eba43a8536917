"""One pose of a loop from several, each with the depths that another neighbour gave.

Two neighbouring keyframes are a short baseline: a rotation between them that is off by some tenths
of a degree changes all depths alike, by tens of per cent, and no residual shows it. What two
neighbours' depths make of one loop differs by as much, so it is told by having two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from msga_ros.geometry.rotations import rotation_matrix, rotation_vector
from msga_ros.odometry.poses import UncertainPose

ESTIMATES = 2  # that are asked for
_UNCONFIRMED = 0.1  # share of a length that nothing confirms: what two of them differ by


def agreed(poses: Sequence[UncertainPose]) -> UncertainPose:
    """The mean of `poses`, the certain ones with more weight, and a covariance that holds what they
    differ by: they are of the same matches, so it is no smaller than theirs.

    A single one is uncertain by a share of its length.
    """
    first = poses[0]
    if len(poses) == 1:
        covariance = first.covariance.copy()
        covariance[:3, :3] += _UNCONFIRMED**2 * np.outer(first.position, first.position)
        return UncertainPose(first.rotation, first.position, covariance)
    weights = np.array([1.0 / np.trace(one.covariance[:3, :3]) for one in poses])
    weights /= weights.sum()
    away = np.array(
        [
            [*(one.position - first.position), *rotation_vector(one.rotation @ first.rotation.T)]
            for one in poses
        ]
    )
    mean = weights @ away
    # Of one estimate: how far the mean itself is off they do not tell, for they share a keyframe.
    spread = (weights[:, None] * (away - mean)).T @ (away - mean)
    spread /= 1.0 - (weights**2).sum()
    covariance = np.einsum("n,nij->ij", weights, np.stack([one.covariance for one in poses]))
    return UncertainPose(
        rotation_matrix(mean[3:]) @ first.rotation, first.position + mean[:3], covariance + spread
    )
