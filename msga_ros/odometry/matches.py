"""Matches with the outliers removed: what the odometry starts from, by whatever method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera


@dataclass(frozen=True)
class FilteredMatches:
    """Matches of two views, row by row, and which of them hold.

    `indices0`, `indices1` (N,): into the features of each view. `inlier` (N,) bool;
    `inlier_probability` (N,). A `TwoViewResult` has the same fields and serves as well.
    """

    indices0: NDArray[np.int64]
    indices1: NDArray[np.int64]
    inlier: NDArray[np.bool_]
    inlier_probability: NDArray[np.float32]


class MatchesLike(Protocol):
    """What the odometry reads of `FilteredMatches` or a `TwoViewResult`."""

    @property
    def indices0(self) -> NDArray[np.int64]: ...

    @property
    def indices1(self) -> NDArray[np.int64]: ...

    @property
    def inlier(self) -> NDArray[np.bool_]: ...

    @property
    def inlier_probability(self) -> NDArray[np.float32]: ...


def judged(matches: MatchesLike, inlier: NDArray[np.bool_]) -> FilteredMatches:
    """The same `matches`, of which those hold that are `inlier` (N,)."""
    return FilteredMatches(matches.indices0, matches.indices1, inlier, matches.inlier_probability)


# (features0, features1, camera0, camera1) -> matches; `TwoViewPipeline.relate` is one.
Relate = Callable[[Features, Features, Camera, Camera], MatchesLike]


def unique_rows(matches: MatchesLike) -> NDArray[np.int64]:
    """(K,) inlier rows, in order, in which no feature of either view appears twice; the most
    probable one stays."""
    rows = np.flatnonzero(matches.inlier)
    rows = rows[np.argsort(-matches.inlier_probability[rows], kind="stable")]
    for indices in (matches.indices0, matches.indices1):
        rows = rows[np.sort(np.unique(indices[rows], return_index=True)[1])]
    return np.sort(rows)
