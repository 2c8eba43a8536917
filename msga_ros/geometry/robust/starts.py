"""Motions to start a local refinement from: few, far apart, and one of them near the truth."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from scipy.special import expit

from msga_ros.geometry.eight_point import weighted_eight_point
from msga_ros.geometry.pose import PoseError, decompose_essential
from msga_ros.geometry.robust.base import Array
from msga_ros.geometry.robust.refinement import Motions, joined

_EIGHT = 8  # matches that determine an essential matrix linearly
_LOGITS = (0.0, 1.0)  # the matches that score more make a subset for the eight-point algorithm
_BEST = (16, 32, 64, 128)  # and so do the best so many
_DIRECTIONS = np.array(
    [
        *((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        *((1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1), (1, 1, 0), (1, -1, 0)),
    ],
    dtype=np.float64,
)
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)
_ORBIT_ANGLES = np.deg2rad([15.0, 40.0])
_ORBIT_AXES = 8  # across the ray to the middle of the scene, evenly around it
_ROBUST_ITERATIONS = 4  # of the rotation alone; more change nothing


def starts(correspondences: Array, score: Array, essential: Array | None) -> Motions:
    """Starting motions for matches that are sorted by falling score.

    Args:
        correspondences: `(N, 4)`, normalised coordinates, N >= 8, all finite.
        score: `(N,)`, logits of being an inlier.
        essential: `(3, 3)`, a solution that is known already; NaN or None: there is none.

    Returns:
        - the eight-point solutions with the scores as weights and of the best-scored subsets, and
          `essential` itself: right where there is depth and parallax;
        - the rotation that alone explains the matches best (with and without doubt about those
          that it does not explain), with nine directions of translation: right where the parallax
          is small, the scene a plane or far away;
        - the same rotation, followed by a turn about the middle of the scene, as a camera that
          looks at one thing from all sides makes it: right where the parallax is large.
    """
    weight = expit(score - min(float(score[0]), 0.0))  # never zero for all
    linear = _eight_point(correspondences, score, weight)
    if essential is not None:
        linear.append(essential)
    parts = [motion for motion in map(_decomposed, linear) if motion is not None]
    rays0, rays1 = _rays(correspondences[:, :2]), _rays(correspondences[:, 2:])
    middle = weight @ rays0
    for iterations in (0, _ROBUST_ITERATIONS):
        rotation = _rotation_alone(rays0, rays1, weight, iterations)
        parts += [_all_directions(rotation), _orbits(rotation, middle)]
    return joined(parts)


def starts_of_one_rotation(correspondences: Array) -> Motions:
    """The rotation that alone explains the `correspondences` (N, 4), normalised, best, with nine
    directions of translation."""
    rays0, rays1 = _rays(correspondences[:, :2]), _rays(correspondences[:, 2:])
    weight = np.ones(len(correspondences))
    return _all_directions(_rotation_alone(rays0, rays1, weight, _ROBUST_ITERATIONS))


def _eight_point(correspondences: Array, score: Array, weight: Array) -> list[Array]:
    count = len(score)
    subsets = [score > logit for logit in _LOGITS]
    subsets += [np.arange(count) < best for best in _BEST if best < count]
    chosen = [subset.astype(np.float64) for subset in subsets if subset.sum() >= _EIGHT]
    weights = torch.from_numpy(np.stack([weight, *chosen]))
    rows = torch.from_numpy(correspondences).expand(len(weights), -1, -1)
    return list(weighted_eight_point(rows, weights, hartley=True).numpy())


def _decomposed(essential: Array) -> Motions | None:
    """The smaller of both rotations: all four motions have the same epipolar distances."""
    try:
        one, other, translation = decompose_essential(essential)
    except PoseError:
        return None
    rotation = one if np.trace(one) > np.trace(other) else other
    return Motions(rotation[None], translation[None])


def _rotation_alone(rays0: Array, rays1: Array, weight: Array, iterations: int) -> Array:
    """`(3, 3)`: turns the rays (N, 3) of view 0 into those of view 1, by weighted least squares.

    Each iteration weighs the matches by Cauchy's loss, its scale the median distance.
    Source: Kabsch, "A solution for the best rotation to relate two sets of vectors", 1976.
    """
    trust = weight
    for iteration in range(iterations + 1):
        u, _, vt = np.linalg.svd((rays1 * trust[:, None]).T @ rays0)
        rotation: Array = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
        if iteration < iterations:
            distance = np.linalg.norm(rays1 - rays0 @ rotation.T, axis=1)
            scale = max(float(np.median(distance)), 1e-9)
            trust = weight / (1 + (distance / scale) ** 2)
    return rotation


def _all_directions(rotation: Array) -> Motions:
    return Motions(np.repeat(rotation[None], len(_DIRECTIONS), 0), _DIRECTIONS)


def _orbits(rotation: Array, middle: Array) -> Motions:
    """Turns about a point in the direction `middle` (3,) of view 0, after `rotation`."""
    centre = rotation @ (middle / np.linalg.norm(middle))
    across = np.linalg.svd(centre[None])[2][1:]
    phase = np.arange(_ORBIT_AXES) * 2 * np.pi / _ORBIT_AXES
    axes = np.column_stack([np.cos(phase), np.sin(phase)]) @ across
    turns = Rotation.from_rotvec((_ORBIT_ANGLES[:, None, None] * axes).reshape(-1, 3)).as_matrix()
    translation = centre - turns @ centre  # the point stays where it is
    translation /= np.linalg.norm(translation, axis=1, keepdims=True)
    return Motions(turns @ rotation, translation)


def _rays(points: Array) -> Array:
    rays = np.column_stack([points, np.ones(len(points))])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)
