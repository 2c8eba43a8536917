"""Exact augmentations of a two-view sample: each changes matches and motion together.

A change of focal length is exact as a crop: normalised coordinates do not depend on the focal
length, what a longer one sees is a part of the image. (Scaling normalised coordinates is not a zoom
but a wrong calibration; unless the cameras are not turned against each other, there is no motion
that the scaled matches obey.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Matches and the true motion between their cameras.

    Attributes:
        correspondences: `(N, 4)`, normalised image coordinates.
        rotation, translation: `(3, 3)` and unit `(3,)`, `x' = R x + t`.
    """

    correspondences: Array
    rotation: Array
    translation: Array


def augmented(sample: Sample, generator: np.random.Generator) -> Sample:
    """Views swapped and mirrored half of the time; each camera rolled, and tilted a little."""
    if generator.random() < 0.5:
        sample = swap_views(sample)
    if generator.random() < 0.5:
        sample = mirror(sample)
    common = generator.uniform(-np.pi, np.pi) if generator.random() < 0.3 else 0.0
    turns = [
        rotation_about(np.array([0.0, 0.0, 1.0]), common + generator.normal() * 0.15)
        @ rotation_about(
            generator.normal(size=3) * [1, 1, 0] + [1e-6, 0, 0], generator.normal() * 0.05
        )
        for _ in range(2)
    ]
    return turn_cameras(sample, turns[0], turns[1])


def crop(
    correspondences: NDArray[np.floating], generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Which of the matches `(N, 4)` lie inside a window of each image: a narrower field of view.

    Both windows are around the points of one match, of 50 % to 100 % of the images' extents in each
    direction. Exact for the matches that remain; a keypoint whose nearest neighbour is cut off
    would have found another one, which here is missing.
    """
    centre = correspondences[int(generator.integers(len(correspondences)))]
    extent = np.ptp(correspondences, axis=0)
    half = extent * np.tile(generator.uniform(0.5, 1.0, 2), 2) / 2
    # Windows do not reach beyond the images.
    low = correspondences.min(0) + half
    middle = np.clip(centre, low, np.maximum(low, correspondences.max(0) - half))
    inside: NDArray[np.bool_] = (np.abs(correspondences - middle) <= half).all(axis=1)
    return inside


def swap_views(sample: Sample) -> Sample:
    """The same pair, the other way round."""
    return Sample(
        sample.correspondences[:, [2, 3, 0, 1]],
        sample.rotation.T,
        -sample.rotation.T @ sample.translation,
    )


def mirror(sample: Sample) -> Sample:
    """Both images reflected left to right: the motion of the mirrored world."""
    flip = np.diag([-1.0, 1.0, 1.0])
    return Sample(
        sample.correspondences * [-1, 1, -1, 1],
        flip @ sample.rotation @ flip,
        flip @ sample.translation,
    )


def turn_cameras(sample: Sample, turn0: Array, turn1: Array) -> Sample:
    """Each camera turned about its centre by a rotation matrix.

    A match whose direction would leave the front of a turned camera makes the call leave that
    camera as it is: the image of such a camera would not exist.
    """
    first, ok0 = _turned(sample.correspondences[:, :2], turn0)
    second, ok1 = _turned(sample.correspondences[:, 2:], turn1)
    if not (ok0 and ok1):
        return sample
    return Sample(
        np.concatenate((first, second), 1),
        turn1 @ sample.rotation @ turn0.T,
        turn1 @ sample.translation,
    )


def rotation_about(axis: Array, angle: float) -> Array:
    """Rotation matrix about `axis` (any length but 0) by `angle` radians (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def _turned(points: Array, turn: Array) -> tuple[Array, bool]:
    rays = np.concatenate((points, np.ones((len(points), 1))), 1) @ turn.T
    in_front = bool((rays[:, 2] > 0.2).all())
    return (rays[:, :2] / rays[:, 2:] if in_front else points), in_front
