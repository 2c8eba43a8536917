"""Matches of posed pairs: what a worker does, on this machine or on another one."""

from __future__ import annotations

import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.dumps import INLIER_THRESHOLD, true_residual
from msga_ros.datasets.posed.base import PosedImage
from msga_ros.frontend import Features, FrontendError
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.pictures import PictureError, read_picture
from msga_ros.geometry.triangulation import parallax_angles, ray_depths
from msga_ros.two_view.chosen_stages import create_frontend

Floats = NDArray[np.float64]

_KEPT_FEATURES = 48  # images a worker remembers: about 1 MB each with 2000 SIFT keypoints


@dataclass(frozen=True)
class Acceptance:
    """Which matched pairs are kept: those that show that the true motion explains them.

    A match is consistent if its ratio is below `ratio`, its distance to the true motion below the
    published threshold, and its point in front of both cameras. At least `min_matches` of them,
    with a median parallax of at least `min_parallax` degrees, are needed.
    """

    min_matches: int = 20
    min_parallax: float = 1.5
    ratio: float = 0.85


@dataclass(frozen=True)
class Job:
    """One pair to be matched; `name` is that of the pair in the dump."""

    name: str
    image0: PosedImage
    image1: PosedImage


@dataclass(frozen=True)
class Task:
    """Some pairs for one worker, with all it has to know."""

    jobs: tuple[Job, ...]
    config: FrontendConfig
    acceptance: Acceptance


@dataclass(frozen=True)
class PairMatches:
    """What goes into a dump.

    Attributes:
        correspondences: `(N, 4)` normalised coordinates.
        rotation, translation: `x' = R x + t`, of length 1.
        evidence: `(N, 5)`, as `Matches.evidence`.
        centres, focals: `(2, 2)` principal point and focal lengths of image 0 and of image 1.
    """

    correspondences: NDArray[np.float32]
    rotation: Floats
    translation: Floats
    evidence: NDArray[np.float32]
    centres: Floats
    focals: Floats


@dataclass(frozen=True)
class Result:
    """What became of a job: matches, or the reason why the pair is not kept."""

    name: str
    matches: PairMatches | None = None
    rejected: str = ""


class _Unusable(ValueError):
    """Why a pair cannot be matched."""


def work(task: Task) -> list[Result]:
    """Match the pairs of a task, one after the other; one result for each of them."""
    cv2.setNumThreads(1)  # the workers are the parallelism
    matcher = _matcher(task.config)
    torch = sys.modules.get("torch")  # learned features have imported it
    if torch is not None:
        torch.set_num_threads(1)
    return [_match(job, matcher, task.acceptance) for job in task.jobs]


class _Matcher:
    """A front end that remembers the features of the last images."""

    def __init__(self, config: FrontendConfig) -> None:
        self.frontend = create_frontend(config)
        self._features: OrderedDict[Path, Features] = OrderedDict()

    def features(self, image: PosedImage) -> Features:
        known = self._features.get(image.path)
        if known is not None:
            self._features.move_to_end(image.path)
            return known
        try:
            pixels = read_picture(image.path)
        except (OSError, PictureError):
            raise _Unusable("image cannot be read") from None
        size = (pixels.shape[1], pixels.shape[0])
        camera = image.camera
        if camera.width and camera.height and size != (camera.width, camera.height):
            raise _Unusable("image is not of the size that its calibration is for")
        found = self._features[image.path] = self.frontend.extract(pixels)
        if len(self._features) > _KEPT_FEATURES:
            self._features.popitem(last=False)
        return found


_matchers: dict[FrontendConfig, _Matcher] = {}  # of this process


def _matcher(config: FrontendConfig) -> _Matcher:
    if config not in _matchers:
        _matchers.clear()
        _matchers[config] = _Matcher(config)
    return _matchers[config]


def _match(job: Job, matcher: _Matcher, acceptance: Acceptance) -> Result:
    try:
        features0, features1 = matcher.features(job.image0), matcher.features(job.image1)
        matches = matcher.frontend.match(features0, features1)
    except (_Unusable, FrontendError) as error:
        return Result(job.name, rejected=str(error))
    motion = job.image1.pose.relative_to(job.image0.pose)
    length = float(np.linalg.norm(motion.translation))
    if not (np.isfinite(length) and length > 0.0):
        return Result(job.name, rejected="no baseline between the cameras")
    translation = motion.translation / length
    camera0, camera1 = job.image0.camera, job.image1.camera
    points0 = camera0.normalize(matches.keypoints0)
    points1 = camera1.normalize(matches.keypoints1)
    both = np.hstack((points0, points1))
    seen = np.isfinite(both).all(axis=1)  # the model of a lens ends somewhere
    rows, evidence = both[seen].astype(np.float32), matches.evidence[seen]
    reason = _why_not(rows, evidence[:, 0], motion.rotation, translation, acceptance)
    if reason:
        return Result(job.name, rejected=reason)
    result = PairMatches(
        correspondences=rows,
        rotation=motion.rotation,
        translation=translation,
        evidence=evidence,
        centres=np.array([camera0.k[:2, 2], camera1.k[:2, 2]]),
        focals=np.array([np.diag(camera0.k)[:2], np.diag(camera1.k)[:2]]),
    )
    return Result(job.name, result)


def _why_not(
    rows: NDArray[np.float32],
    ratios: NDArray[np.float32],
    rotation: Floats,
    translation: Floats,
    acceptance: Acceptance,
) -> str:
    """Why a pair is not kept; empty if it is."""
    near = true_residual(rows, rotation, translation) < INLIER_THRESHOLD
    distinct = near & ~(ratios >= acceptance.ratio)  # NaN is unknown
    points0, points1 = np.hsplit(rows[distinct].astype(np.float64), 2)
    in_front: NDArray[np.bool_] = np.zeros(0, bool)
    if len(points0):
        depth0, depth1 = ray_depths(points0, points1, rotation, translation)
        with np.errstate(invalid="ignore"):
            in_front = (depth0 > 0) & (depth1 > 0)
    if np.count_nonzero(in_front) < max(acceptance.min_matches, 1):
        return "too few consistent matches"
    angles = parallax_angles(points0[in_front], points1[in_front], rotation)
    if np.rad2deg(np.median(angles)) < acceptance.min_parallax:
        return "too little parallax"
    return ""
