"""Relative pose as it is written with OpenCV alone: the row that others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.images import to_grey
from msga_ros.geometry.camera import Camera
from msga_ros.two_view.stage_clock import StageClock

OPENCV_BASELINES = ("opencv-sift", "opencv-orb")

_KEYPOINTS = 2000
_RATIO = 0.8  # Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004
_THRESHOLD_PX = 1.0
_CONFIDENCE = 0.9999
_MIN_INLIERS = 15  # a usual bound of loop closure; OpenCV itself has none


@dataclass(frozen=True)
class OpenCVResult:
    """Matches after the ratio test and what RANSAC makes of them; pose NaN without one.

    `success`: at least 15 inliers in front of both cameras, the bound that users set themselves.
    `clock`: times of the stages `extract`, `match` and `pose`.
    """

    success: bool
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    keypoints0: NDArray[np.float32]
    keypoints1: NDArray[np.float32]
    inlier: NDArray[np.bool_]
    clock: StageClock


def relate_by_opencv(
    name: str,
    image0: NDArray[np.generic],
    image1: NDArray[np.generic],
    camera0: Camera,
    camera1: Camera,
) -> OpenCVResult:
    """Keypoints, ratio test, `findEssentialMat` by RANSAC, `recoverPose`.

    `name` is one of `OPENCV_BASELINES`; images are mono or BGR of 8 or 16 bits.
    """
    clock = StageClock()
    if name == "opencv-sift":
        detector: cv2.Feature2D = cv2.SIFT.create(_KEYPOINTS)
        norm = cv2.NORM_L2
    else:
        detector, norm = cv2.ORB.create(_KEYPOINTS), cv2.NORM_HAMMING
    found = [detector.detectAndCompute(to_grey(image), None) for image in (image0, image1)]
    clock.lap("extract")
    points0, points1 = _matched(found[0], found[1], norm)
    clock.lap("match")
    rows0, rows1 = camera0.normalize(points0), camera1.normalize(points1)
    usable = np.isfinite(rows0).all(1) & np.isfinite(rows1).all(1)
    nothing = OpenCVResult(
        False,
        np.full((3, 3), np.nan),
        np.full(3, np.nan),
        points0,
        points1,
        np.zeros(len(points0), dtype=bool),
        clock,
    )
    clock.unneeded("pose")
    if usable.sum() < 5:
        return nothing
    threshold = _THRESHOLD_PX / (0.5 * (camera0.mean_focal + camera1.mean_focal))
    rows0, rows1 = rows0[usable], rows1[usable]
    cv2.setRNGSeed(0)
    essential, mask = cv2.findEssentialMat(
        rows0, rows1, np.eye(3), cv2.RANSAC, _CONFIDENCE, threshold
    )
    if essential is None or essential.shape != (3, 3):
        return nothing
    count, rotation, translation, mask = cv2.recoverPose(essential, rows0, rows1, mask=mask)
    inlier = np.zeros(len(points0), dtype=bool)
    inlier[usable] = mask[:, 0] > 0
    clock.lap("pose")
    return OpenCVResult(
        count >= _MIN_INLIERS,
        np.asarray(rotation, np.float64),
        np.asarray(translation[:, 0], np.float64),
        points0,
        points1,
        inlier,
        clock,
    )


def _matched(
    first: tuple[Sequence[cv2.KeyPoint], cv2.typing.MatLike],
    second: tuple[Sequence[cv2.KeyPoint], cv2.typing.MatLike],
    norm: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """`(M, 2)` pixels twice: nearest neighbours that pass the ratio test."""
    (keypoints0, descriptors0), (keypoints1, descriptors1) = first, second
    kept = []
    if descriptors0 is not None and descriptors1 is not None and len(descriptors1) >= 2:
        for best, next_best in cv2.BFMatcher(norm).knnMatch(descriptors0, descriptors1, k=2):
            if best.distance < _RATIO * next_best.distance:
                kept.append((keypoints0[best.queryIdx].pt, keypoints1[best.trainIdx].pt))
    points = np.array(kept, dtype=np.float32).reshape(-1, 2, 2)
    return points[:, 0].copy(), points[:, 1].copy()
