"""The plane that most matches lie on, and the motions under which it looks as it does."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from msga_ros.geometry.robust.base import Array
from msga_ros.geometry.robust.refinement import thinned

_SAMPLE = 4  # matches that determine a homography
_MOST = 300  # matches that it is fitted to
_MAX_ITERATIONS = 200
_REACH = 2.0  # thresholds within which a match may lie on the plane; off it, it certainly does not


@dataclass(frozen=True)
class Homography:
    """What most matches share where they lie on one plane.

    The sign of a translation goes with that of the plane's normal and is free here.
    """

    agree: npt.NDArray[np.bool_]  # (N,)
    rotation: Array  # (S, 3, 3), up to four motions, two of which are different
    translation: Array  # (S, 3), unit


def homography_of_most(
    correspondences: Array, chosen: npt.NDArray[np.bool_], threshold: float
) -> Homography | None:
    """The homography of most of the `chosen` matches; None where there is none.

    Args:
        correspondences: `(N, 4)`, normalised coordinates, finite.
        chosen: `(N,)`, those that it is looked for among.
        threshold: largest distance in view 1 of a match from its place by the homography,
            normalised units.

    Source: Malis and Vargas, "Deeper understanding of the homography decomposition for
    vision-based control", INRIA 2007: a plane in front of both cameras is seen alike under two
    motions.
    """
    if chosen.sum() < _SAMPLE:
        return None
    sampled = thinned(correspondences[chosen], _MOST)
    matrix, _ = cv2.findHomography(
        sampled[:, :2],
        sampled[:, 2:],
        cv2.RANSAC,
        threshold,
        maxIters=_MAX_ITERATIONS,
    )
    if matrix is None or not np.isfinite(matrix).all():
        return None
    _, rotations, translations, _ = cv2.decomposeHomographyMat(matrix, np.eye(3))
    rotation, translation = np.array(rotations), np.array(translations)[:, :, 0]
    length = np.linalg.norm(translation, axis=1)
    sound = np.isfinite(rotation).all((1, 2)) & (length > 0)
    moved = cv2.perspectiveTransform(correspondences[None, :, :2], matrix)[0]
    distance = np.linalg.norm(moved - correspondences[:, 2:], axis=1)
    agree = distance < _REACH * threshold
    return Homography(agree, rotation[sound], translation[sound] / length[sound, None])
