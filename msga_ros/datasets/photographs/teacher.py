"""Matches of a teacher between posed photographs, kept where the true pose agrees with them.

They are the only exact correspondences of real images that are far apart: DISK and LightGlue find
them, and the epipolar line and the sign of both depths throw out what is false.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from msga_ros.datasets.photographs.pack import Photograph, Photographs, TaughtPair
from msga_ros.frontend.base import Features
from msga_ros.geometry.epipolar import symmetric_epipolar_distance_squared
from msga_ros.geometry.pose import essential_matrix
from msga_ros.geometry.triangulation import ray_depths
from msga_ros.two_view.stages import Extractor, Matcher

_LEAST_ANGLE = 3.0  # degrees: narrower pairs, of views side by side too, come as often as these


@dataclass(frozen=True)
class TeachingConfig:
    """Which images of a place are matched, and which matches and pairs are kept."""

    images: int = 4  # of a place, spread evenly: all pairs of them that the file names
    most_px: float = 1.5  # from the epipolar lines
    least_share: float = 0.6  # of a pair's matches that the pose must agree with
    least: int = 24  # matches of a pair


class Teacher:
    """Matches pairs of `photographs`; features of an image are computed once."""

    def __init__(
        self,
        photographs: Photographs,
        extractor: Extractor,
        matcher: Matcher,
        config: TeachingConfig | None = None,
    ) -> None:
        self.photographs = photographs
        self.config = config or TeachingConfig()
        self._extractor = extractor
        self._matcher = matcher
        self._features: dict[int, Features] = {}

    def pairs(self, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Those to match, each place in turn, so that a part of them shows all places; of a place
        the wider the angle between the optical axes, the sooner, on the whole."""
        of_place: dict[str, list[int]] = {}
        for number, image in enumerate(self.photographs.images):
            of_place.setdefault(image.place, []).append(number)
        named = {tuple(pair) for pair in self.photographs.pairs.tolist()}
        rounds = []
        for numbers in of_place.values():
            taken = np.linspace(0, len(numbers) - 1, min(self.config.images, len(numbers)))
            spread = [numbers[round(place)] for place in taken]
            wanted = [pair for pair in itertools.combinations(spread, 2) if pair in named]
            rounds.append(self._widest_first(wanted, rng))
        rng.shuffle(rounds)  # type: ignore[arg-type]
        turns = itertools.zip_longest(*rounds)
        return [pair for turn in turns for pair in turn if pair is not None]

    def _widest_first(
        self, pairs: Sequence[tuple[int, int]], rng: np.random.Generator
    ) -> list[tuple[int, int]]:
        """Drawn one after the other, each as often as its angle is wide."""
        axes = [[self.photographs.images[one].rotation[2] for one in pair] for pair in pairs]
        cosines = np.array([first @ second for first, second in axes])
        angles = np.rad2deg(np.arccos(cosines.clip(-1, 1)))
        turns = rng.exponential(size=len(pairs)) / np.maximum(angles, _LEAST_ANGLE)
        return [pairs[place] for place in turns.argsort()]

    def taught(self, pairs: Sequence[tuple[int, int]]) -> Iterator[TaughtPair | None]:
        """Of each of `pairs` its matches, or None where they are few or the pose denies them."""
        for first, second in pairs:
            found = self._matcher.match(self._of(first), self._of(second))
            matches = np.hstack((found.keypoints0, found.keypoints1)).astype(np.float32)
            images = self.photographs.images
            agreed = agreeing(matches, images[first], images[second], self.config.most_px)
            kept = matches[agreed]
            few = len(kept) < max(self.config.least, self.config.least_share * len(matches))
            yield None if few else TaughtPair(first, second, kept)

    def _of(self, number: int) -> Features:
        if number not in self._features:
            image = self.photographs.images[number].grey
            self._features[number] = self._extractor.extract(image)
        return self._features[number]


def agreeing(
    matches: NDArray[np.float32], first: Photograph, second: Photograph, most_px: float
) -> NDArray[np.bool_]:
    """`(M,)`: which of `(M, 4)` matches lie within `most_px` of each other's epipolar lines and in
    front of both cameras."""
    rotation = second.rotation @ first.rotation.T
    translation = second.translation - rotation @ first.translation
    rays = []
    for points, camera in zip(np.hsplit(matches, 2), (first.camera, second.camera), strict=True):
        homogeneous = np.pad(points.astype(np.float64), ((0, 0), (0, 1)), constant_values=1.0)
        rays.append((homogeneous @ np.linalg.inv(camera).T)[:, :2])
    essential = torch.from_numpy(essential_matrix(rotation, translation))
    squared = symmetric_epipolar_distance_squared(
        torch.from_numpy(np.hstack(rays))[None], essential[None]
    )[0].numpy()
    # Of the two lines' squared distances together, in rays: a pixel is one over the focal length.
    focal = np.mean([first.camera[0, 0], second.camera[0, 0]])
    depths = ray_depths(rays[0], rays[1], rotation, translation)
    return np.asarray((squared * focal**2 <= 2 * most_px**2) & (np.stack(depths) > 0).all(0))
