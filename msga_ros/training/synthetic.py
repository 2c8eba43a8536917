"""Synthetic two-view geometry with structured outliers, as putative matches of random scenes.

No images: points in front of two cameras, projected, disturbed as a detector disturbs them, and
mixed with the wrong matches that repeated structure and moving objects cause.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.training.augmentation import Sample, rotation_about

Array = NDArray[np.float64]


def synthetic_sample(generator: np.random.Generator, count: int) -> tuple[Sample, Array]:
    """`count` putative matches of one random scene, and `(count, 2)` ratio and mutual flag of each;
    the same generator state, the same sample.

    The scene is a cloud, a few planes, or both; the motion sideways, forward or around; the field
    of view from narrow to wide; 5 % to 90 % of the matches are right; the wrong ones are partly
    random, partly near misses along a line, partly an object with a motion of its own.
    """
    half_view = np.tan(np.radians(generator.uniform(20, 50)))
    rotation, translation = _motion(generator)
    share = generator.uniform(0.05, 0.9)
    inliers = max(8, round(share * count))
    noise = 10 ** generator.uniform(-4, -2.9)

    first, second = _visible_points(generator, inliers, half_view, rotation, translation)
    # A detector's error: normal, with a tail.
    scale = noise * (1 + 2 * (generator.random((len(first), 1)) < 0.05))
    first = first + generator.normal(size=first.shape) * scale
    second = second + generator.normal(size=second.shape) * scale
    wrong_first, wrong_second = _wrong_matches(
        generator, count - len(first), half_view, first, second
    )
    correspondences = np.concatenate(
        (
            np.concatenate((first, second), 1),
            np.concatenate((wrong_first, wrong_second), 1),
        )
    )
    right = np.arange(len(correspondences)) < len(first)
    ratio = np.where(
        right,
        generator.beta(4, 2.2, len(right)),
        1 - generator.beta(1, 9, len(right)),
    )
    mutual = generator.random(len(right)) < np.where(right, 0.95, 0.5)
    order = generator.permutation(len(correspondences))
    return (
        Sample(correspondences[order], rotation, translation),
        np.stack((ratio, mutual), 1)[order].astype(np.float64),
    )


def _motion(generator: np.random.Generator) -> tuple[Array, Array]:
    """Rotation up to 40 degrees about any axis; unit translation, often mainly forward."""
    axis = generator.normal(size=3)
    angle = np.radians(40) * generator.random() ** 1.5
    rotation = rotation_about(axis, angle)
    direction = generator.normal(size=3)
    if generator.random() < 0.33:
        direction = np.array([0.0, 0.0, generator.choice([-1.0, 1.0])]) + 0.2 * direction
    return rotation, direction / np.linalg.norm(direction)


def _visible_points(
    generator: np.random.Generator,
    count: int,
    half_view: float,
    rotation: Array,
    translation: Array,
) -> tuple[Array, Array]:
    """Up to `count` points seen by both cameras, `(M, 2)` each; the baseline is 1."""
    near = 10 ** generator.uniform(0.2, 1.2)
    planes = int(generator.integers(0, 4))
    first_parts: list[Array] = []
    second_parts: list[Array] = []
    found = 0
    clusters = generator.uniform(-half_view, half_view, size=(int(generator.integers(3, 12)), 2))
    some = planes or 1
    plane_parameters = generator.normal(size=(some, 2)) * 0.5
    plane_depths = near * generator.uniform(1, 4, size=some)
    for _ in range(8):
        size = 2 * count
        rays = generator.uniform(-half_view, half_view, size=(size, 2))
        clustered = generator.random(size) < 0.4
        around = clusters[generator.integers(0, len(clusters), size)]
        rays[clustered] = (around + generator.normal(size=(size, 2)) * 0.1 * half_view)[clustered]
        depth = near * (1 + generator.exponential(1.5, size))
        if planes:
            which = generator.integers(0, planes, size)
            slope = 1 + (rays * plane_parameters[which]).sum(1)
            on_plane = (generator.random(size) < 0.8) & (slope > 0.2)
            depth[on_plane] = (plane_depths[which] / np.maximum(slope, 0.2))[on_plane]
        points = np.concatenate((rays, np.ones((size, 1))), 1) * depth[:, None]
        moved = points @ rotation.T + translation
        in_front = moved[:, 2] > 0.1
        projected = moved[:, :2] / np.where(in_front, moved[:, 2], 1.0)[:, None]
        seen = in_front & (np.abs(projected) < half_view).all(1) & (np.abs(rays) < half_view).all(1)
        first_parts.append(rays[seen])
        second_parts.append(projected[seen])
        found += int(seen.sum())
        if found >= count:
            break
    return np.concatenate(first_parts)[:count], np.concatenate(second_parts)[:count]


def _wrong_matches(
    generator: np.random.Generator, count: int, half_view: float, first: Array, second: Array
) -> tuple[Array, Array]:
    """`count` wrong matches: random, repeated structure, and a second motion."""
    wrong_first = generator.uniform(-half_view, half_view, size=(count, 2))
    wrong_second = generator.uniform(-half_view, half_view, size=(count, 2))
    if len(first) == 0 or count == 0:
        return wrong_first, wrong_second
    kind = generator.random(count)
    source = generator.integers(0, len(first), count)
    repeated = kind < generator.uniform(0, 0.4)
    # The same texture a period or two away, all along one direction.
    period = generator.normal(size=2) * 0.2 * half_view
    steps = generator.integers(1, 4, size=(count, 1)) * generator.choice([-1, 1], size=(count, 1))
    shifted = second[source] + steps * period + generator.normal(size=(count, 2)) * 0.003
    wrong_first[repeated] = first[source][repeated]
    wrong_second[repeated] = shifted[repeated]
    # An object that moves: a patch of the image displaced as one, by an affine map.
    moving = kind > 1 - generator.uniform(0, 0.3)
    centre = generator.uniform(-half_view, half_view, size=2) * 0.7
    patch = centre + generator.normal(size=(count, 2)) * 0.15 * half_view
    turn = np.eye(2) + generator.normal(size=(2, 2)) * 0.1
    displaced = (patch - centre) @ turn.T + centre + generator.normal(size=2) * 0.2 * half_view
    wrong_first[moving] = patch[moving]
    wrong_second[moving] = displaced[moving] + generator.normal(size=(count, 2))[moving] * 0.001
    return wrong_first, wrong_second
