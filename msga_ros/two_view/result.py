"""What the pipeline says of two views."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


class Status(enum.IntEnum):
    """What the pose of a `TwoViewResult` is worth; the numbers of `RelativePose.msg`."""

    OK = 0
    TOO_FEW_MATCHES = 1  # too few agree on a motion; rotation, translation, ... are NaN
    DEGENERATE = 2  # hardly any parallax, or another motion as likely: the direction is unknown


@dataclass(frozen=True)
class Counts:
    """How many keypoints and matches each stage left; `detected*` is 0 without fixed keypoints.

    `network_inliers`: matches that the sieve lets through.
    """

    detected0: int
    detected1: int
    matched: int
    network_inliers: int
    geometric_inliers: int


@dataclass(frozen=True)
class SecondOpinion:
    """That a second front end was asked about a pair, and what came of it.

    `frontend`: its name. `stands`: the result is its own, the first one's is in `refused`.
    `problem`: why it could not say anything, where it failed.
    """

    frontend: str
    stands: bool
    problem: str = ""


@dataclass(frozen=True)
class TwoViewResult:
    """Putative matches of two views, which of them hold, and the motion between the views.

    Row i of the (N, ...) arrays is putative match i, in the front end's order.

    `keypoints0`, `keypoints1` (N, 2) float32: pixels of the images as received. `indices0`,
    `indices1` (N,): into the `Features` of each view; None where keypoints are not fixed, of a
    second front end, and for matches that were given. `inlier` (N,) bool: the match agrees with the
    pose. `inlier_probability` (N,) float32: the network's, 0.5 at `network.inlier_threshold`; 0 for
    a match that the camera model cannot explain.

    `essential` (3, 3), Frobenius norm 1, `[x1, 1] E [x0, 1]^T = 0`; `rotation` (3, 3) and unit
    `translation` (3,): `x1 = R x0 + t`. `covariance` (6, 6): of the pose of view 1 in view 0, see
    `msga_ros.geometry.covariance`; NaN where the matches do not determine it. These four are
    float64, and NaN with status TOO_FEW_MATCHES. Without refinement `essential` is the network's
    eight-point solution, of which `rotation` and `translation` are the nearest motion.
    `median_parallax`: of the inliers, in rad; NaN with status TOO_FEW_MATCHES.

    `frontend`: name of the front end that the matches are from, "" where it was none of the
    pipeline's; `sieve`: of the sieve that judged them ("none": the solver alone judged them).
    `second`: what a second front end was asked, None where it was not; `refused`: the result of the
    first one, where that of the second stands in its place.

    `timings`: milliseconds of the stages `match` (but for given matches), `network` (the sieve),
    `pose`, and `extract` (both views) where the pipeline did the extraction; the work of the device
    is included. `second`: all that the second front end did; the others are those of the first.
    `cpu_timings`: CPU milliseconds of the same, of all threads of the process; empty where another
    process computed.
    """

    keypoints0: NDArray[np.float32]
    keypoints1: NDArray[np.float32]
    indices0: NDArray[np.int64] | None
    indices1: NDArray[np.int64] | None
    inlier: NDArray[np.bool_]
    inlier_probability: NDArray[np.float32]
    essential: NDArray[np.float64]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    covariance: NDArray[np.float64]
    status: Status
    median_parallax: float
    counts: Counts
    timings: dict[str, float]
    sieve: str = ""
    cpu_timings: dict[str, float] = field(default_factory=dict)
    frontend: str = ""
    second: SecondOpinion | None = None
    refused: TwoViewResult | None = None

    @property
    def of_features(self) -> TwoViewResult:
        """The result of the front end that the features of both views are from, whose matches name
        them where its keypoints are fixed."""
        return self.refused or self

    @property
    def rejected(self) -> NDArray[np.bool_]:
        """(N,): matches that do not agree with the motion; none where its status is not OK."""
        if self.status is not Status.OK:
            return np.zeros(len(self.inlier), dtype=bool)
        return ~self.inlier
