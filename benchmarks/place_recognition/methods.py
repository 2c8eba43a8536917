"""Ways to verify a candidate: ours and those that others use, each from the same features.

Each says how many matches agree, which is what all of them are ranked by, and the motion.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import poselib
from views import View

from msga_ros.frontend.base import Features
from msga_ros.frontend.matching import match_features
from msga_ros.two_view.pipeline import TwoViewPipeline
from msga_ros.two_view.result import Status

RATIO = 0.8
CONFIDENCE, ITERATIONS = 0.9999, 10_000  # of every sampling estimator here


@dataclass(frozen=True)
class Answer:
    """`inliers` 0: refused. `rotation` (3, 3), `translation` (3,), NaN where unknown;
    `milliseconds` of CPU time, from features to motion; `status` of the pipeline, where it says."""

    inliers: int
    rotation: np.ndarray
    translation: np.ndarray
    milliseconds: float
    status: str = ""


NOTHING = (np.full((3, 3), np.nan), np.full(3, np.nan))
Points = np.ndarray
Solver = Callable[[Points, Points, View, View], tuple[int, np.ndarray, np.ndarray]]


def of_sift(
    pipeline: TwoViewPipeline, view0: View, view1: View, features0: Features, features1: Features
) -> dict[str, Answer]:
    """The pipeline, and the ratio test before RANSAC and PoseLib."""
    found = {"msga": _pipeline(pipeline, view0, view1, features0, features1)[0]}
    started = time.process_time()
    matches = match_features(features0, features1, RATIO, mutual=False)
    matching = 1e3 * (time.process_time() - started)
    points = (matches.keypoints0.astype(np.float64), matches.keypoints1.astype(np.float64))
    solvers: dict[str, Solver] = {
        "ratio + RANSAC F, 1 px": ransac(1.0),
        "ratio + RANSAC F, 3 px": ransac(3.0),
        "ratio + PoseLib": poselib_pose,
    }
    for name, solve in solvers.items():
        found[name] = _timed(solve, *points, view0, view1, matching)
    return found


def of_aliked(
    pipeline: TwoViewPipeline, view0: View, view1: View, features0: Features, features1: Features
) -> dict[str, Answer]:
    """LightGlue before PoseLib alone, and before the pipeline's checks of the pose."""
    answer, points0, points1, matching = _pipeline(pipeline, view0, view1, features0, features1)
    alone = _timed(poselib_pose, points0, points1, view0, view1, matching)
    return {"msga, preset wide": answer, "LightGlue + PoseLib": alone}


def _pipeline(
    pipeline: TwoViewPipeline, view0: View, view1: View, features0: Features, features1: Features
) -> tuple[Answer, Points, Points, float]:
    """The answer, all putative matches, and the CPU time of matching in ms."""
    started = time.process_time()
    result = pipeline.relate(features0, features1, view0.camera, view1.camera)
    milliseconds = 1e3 * (time.process_time() - started)
    holds = result.status is not Status.TOO_FEW_MATCHES
    answer = Answer(
        result.counts.geometric_inliers if holds else 0,
        result.rotation,
        result.translation,
        milliseconds,
        result.status.name,
    )
    # The wall time of the stages divides the CPU time: one thread, and nothing waits.
    wall = sum(result.timings.values())
    points = (result.keypoints0.astype(np.float64), result.keypoints1.astype(np.float64))
    return answer, *points, milliseconds * result.timings["match"] / wall


def _timed(
    solve: Solver, points0: Points, points1: Points, view0: View, view1: View, before: float
) -> Answer:
    started = time.process_time()
    inliers, rotation, translation = solve(points0, points1, view0, view1)
    return Answer(inliers, rotation, translation, before + 1e3 * (time.process_time() - started))


def ransac(threshold: float) -> Solver:
    """Fundamental matrix; its motion by the cameras. `threshold` in pixels."""

    def solve(
        points0: Points, points1: Points, view0: View, view1: View
    ) -> tuple[int, np.ndarray, np.ndarray]:
        if len(points0) < 8:
            return 0, *NOTHING
        cv2.setRNGSeed(0)
        matrix, mask = cv2.findFundamentalMat(
            points0, points1, cv2.FM_RANSAC, threshold, CONFIDENCE, ITERATIONS
        )
        if matrix is None or matrix.shape != (3, 3):
            return 0, *NOTHING
        inlier = mask.ravel().astype(bool)
        k0, k1 = (np.asarray(one.camera.k, np.float64).reshape(3, 3) for one in (view0, view1))
        normal = [
            one.camera.normalize(points[inlier])
            for one, points in ((view0, points0), (view1, points1))
        ]
        _, rotation, translation, _ = cv2.recoverPose(k1.T @ matrix @ k0, *normal)
        return int(inlier.sum()), rotation, translation.ravel()

    return solve


def poselib_pose(
    points0: Points, points1: Points, view0: View, view1: View
) -> tuple[int, np.ndarray, np.ndarray]:
    """PoseLib with its own settings but the threshold of 1 pixel, the pipeline's."""
    if len(points0) < 5:
        return 0, *NOTHING
    options = {"max_epipolar_error": 1.0, "success_prob": CONFIDENCE, "max_iterations": ITERATIONS}
    pose, record = poselib.estimate_relative_pose(
        points0, points1, _camera(view0), _camera(view1), {**options, "seed": 0}, {}
    )
    return int(record["num_inliers"]), np.array(pose.R), np.array(pose.t)


def _camera(view: View) -> dict[str, object]:
    k = np.asarray(view.camera.k, np.float64).reshape(3, 3)
    size = {"width": view.camera.width, "height": view.camera.height}
    return {"model": "PINHOLE", **size, "params": [k[0, 0], k[1, 1], k[0, 2], k[1, 2]]}
