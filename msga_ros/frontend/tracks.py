"""Corners that are followed from image to image, instead of being detected in each.

New corners are spread over a grid (`tracking/corners.py`) where old ones have gone; all are
followed by pyramidal Lucas-Kanade there and back (`tracking/flow.py`), from one image of a camera
to the next and from left to right. A corner keeps its id as long as it is followed, and no id is
given twice. Views that do not go on from each other (two images of one's choice, before and after
the lens was covered) are matched by ORB descriptors of their corners.

Rublee, Rabaud, Konolige and Bradski, "ORB: an efficient alternative to SIFT or SURF", ICCV 2011.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from msga_ros.configuration.setting import check_ranges, setting
from msga_ros.frontend.base import Features, FollowedPair, FrontendError, Matches
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.images import ScaledImage, prepare
from msga_ros.frontend.matching import describe_matches, match_features
from msga_ros.frontend.tracking.corners import new_corners
from msga_ros.frontend.tracking.descriptors import describe
from msga_ros.frontend.tracking.flow import find_again, motion_around

Points = NDArray[np.float32]
Ids = NDArray[np.int64]

_NOTHING: Points = np.empty((0, 2), np.float32)
_UPON = 3.0  # pixels; points in one square of this size are one
_ENOUGH = 0.3  # share of the smaller view's points in common, from which on ids alone match


@dataclass(frozen=True)
class Config:
    """Settings of the front end `tracks`."""

    most: int = setting(300, "Points followed at a time, at most.", minimum=20, maximum=5000)
    stay: float = setting(
        10.0,
        "A corner is not begun where its surroundings leave the image within so many frames.",
        unit="frames",
        minimum=0.0,
        maximum=100.0,
    )

    def __post_init__(self) -> None:
        check_ranges(self, "frontend.tracks")


@dataclass(frozen=True)
class FollowedImage:
    """What the next image is compared with: `Features.payload` of this front end.

    `points` (N, 2) of the features in pixels of `image`; `motion` (N, 2): since the image before,
    about that of its surroundings for a new one; `offset` (N, 2): from left to right, NaN where
    unknown. `number` counts the images along the stream. `ended`: ids that are not followed beyond
    this image. `left`: of the right image of a pair, the features of the left one.
    """

    image: ScaledImage
    points: Points
    motion: Points
    offset: Points
    number: int
    left: Features | None = None
    ended: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Numbers:
    """Where ids of points and numbers of images come from; none comes twice."""

    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    images: Iterator[int] = field(default_factory=lambda: itertools.count(1))


class TracksFrontend:
    """See the module. One thread at a time."""

    name = "tracks"

    def __init__(self, config: FrontendConfig, numbers: Numbers | None = None) -> None:
        """`numbers`: where new ones come from; None: from 1 on."""
        assert isinstance(config.own, Config)
        self._config = config
        self._own = config.own
        self._numbers = Numbers() if numbers is None else numbers

    def extract(self, image: NDArray[np.generic]) -> Features:
        scaled = self._prepared(image)
        return self._with_new_corners(scaled, np.empty(0, np.int64), *[_NOTHING] * 3)

    def follow(self, previous: Features, image: NDArray[np.generic]) -> Features:
        scaled, before = self._prepared(image), _followed(previous)
        if scaled.pixels.shape != before.image.pixels.shape:
            return self.extract(image)
        alive = ~np.isin(_ids(previous), list(before.ended))
        start, ids, offset = before.points[alive], _ids(previous)[alive], before.offset[alive]
        guess = start + before.motion[alive]
        points, found = find_again(before.image.pixels, scaled.pixels, start, guess)
        found &= _apart(points, found)
        return self._with_new_corners(
            scaled, ids[found], points[found], (points - start)[found], offset[found]
        )

    def beside(self, left: Features, image: NDArray[np.generic]) -> Features:
        scaled, seen = self._prepared(image), _followed(left)
        if scaled.pixels.shape != seen.image.pixels.shape:
            return self.extract(image)
        start, offset = seen.points, seen.offset
        unknown = np.isnan(offset[:, 0])
        known = start[~unknown]
        guess = start + offset
        guess[unknown] = start[unknown] + motion_around(
            start[unknown], known, known + offset[~unknown]
        )
        points, found = find_again(seen.image.pixels, scaled.pixels, start, guess)
        offset[:] = np.where(found[:, None], points - start, np.float32(np.nan))
        right = FollowedImage(
            scaled,
            points[found],
            np.zeros_like(points[found]),
            offset[found],
            seen.number,
            left,
        )
        return _features(_ids(left)[found], right)

    def match(self, features0: Features, features1: Features) -> Matches:
        ids0, ids1 = _ids(features0), _ids(features1)
        _, rows0, rows1 = np.intersect1d(ids0, ids1, assume_unique=True, return_indices=True)
        if len(rows0) >= max(_ENOUGH * min(len(ids0), len(ids1)), 1):
            return Matches(
                features0.keypoints[rows0],
                features1.keypoints[rows1],
                rows0,
                rows1,
                followed=FollowedPair(_followed(features0).number, _followed(features1).number),
                # Most pairs go on from the one before without a look at the descriptors.
                describe=partial(describe_matches, features0, features1, rows0, rows1),
            )
        config = self._config
        return match_features(features0, features1, config.ratio, config.mutual, config.max_matches)

    def end(self, features: Features, indices: NDArray[np.int64]) -> None:
        seen, ids = _followed(features), _ids(features)[indices]
        if seen.left is None:
            seen.ended.update(ids.tolist())
            return
        # The left point may well be right: only where it is in the right image is not known.
        _followed(seen.left).offset[np.isin(_ids(seen.left), ids)] = np.nan

    def reconfigured(self, config: FrontendConfig) -> TracksFrontend:
        return TracksFrontend(replace(config, own=config.own or self._own), self._numbers)

    def _prepared(self, image: NDArray[np.generic]) -> ScaledImage:
        return prepare(image, self._config.max_image_size, self._config.max_pixels)

    def _with_new_corners(
        self, scaled: ScaledImage, ids: Ids, points: Points, motion: Points, offset: Points
    ) -> Features:
        """Features of an image in which `points` were found again, and new corners among them."""
        corners = new_corners(scaled.pixels, points, self._own.most).points
        around = motion_around(corners, points - motion, points)
        there = corners + self._own.stay * around
        height, width = scaled.pixels.shape
        stays = ((there >= 0) & (there <= [width - 1, height - 1])).all(axis=1)
        corners, around = corners[stays], around[stays]
        count = len(corners)
        new = np.fromiter(itertools.islice(self._numbers.ids, count), np.int64, count)
        seen = FollowedImage(
            scaled,
            np.vstack([points, corners]),
            np.vstack([motion, around]),
            np.vstack([offset, np.full_like(corners, np.nan)]),
            next(self._numbers.images),
        )
        return _features(np.concatenate([ids, new]), seen)


def create(config: FrontendConfig) -> TracksFrontend:
    """The front end `tracks`."""
    return TracksFrontend(config)


def _features(ids: Ids, seen: FollowedImage) -> Features:
    return Features(
        seen.image.to_received(seen.points).astype(np.float32),
        np.ones(len(ids), np.float32),
        describe(seen.image.pixels, seen.points),
        seen.image.received_size,
        payload=seen,
        ids=ids,
    )


def _apart(points: Points, found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Points (N,) with no earlier, that is older, one upon them: two corners are not one."""
    cell = np.rint(points / _UPON).astype(np.int64)
    rows = np.flatnonzero(found)
    first = rows[np.unique(cell[rows], axis=0, return_index=True)[1]]
    apart = np.zeros(len(points), dtype=bool)
    apart[first] = True
    return apart


def _ids(features: Features) -> Ids:
    if features.ids is None:
        raise FrontendError("features of another front end: they have no ids")
    return features.ids


def _followed(features: Features) -> FollowedImage:
    if not isinstance(features.payload, FollowedImage):
        raise FrontendError("features of another front end: nothing to follow them from")
    return features.payload
