"""Reprojection errors of points in up to four views, and their derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.pose import skew
from msga_ros.odometry.observations import ROWS, Rig

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class State:
    rotation: Array  # current to reference
    position: Array
    ray: Array
    inverse_depth: Array
    turn: Array  # of the right camera, rotation vector (3,)


@dataclass(frozen=True)
class System:
    """Linearised problem: rows (N, 9), their derivatives by what all points share, that is pose
    and turn of the right camera (N, 9, 9), and by the point (N, 9, 3)."""

    residual: Array
    by_shared: Array
    by_point: Array
    freedom: npt.NDArray[np.int64]

    @property
    def squared(self) -> Array:
        return (self.residual**2).sum(axis=1)


def reprojection_system(observed: Array, state: State, rig: Rig | None, focal: float) -> System:
    """Rows and derivatives at `state`, pixels; `observed` (N, 8), NaN where nothing. The row of a
    known inverse depth is left empty, the freedom zero."""
    count = len(observed)
    point = np.column_stack([state.ray, np.ones(count)])  # over the depth
    depth = state.inverse_depth[:, None]
    by_point0 = np.zeros((count, 3, 3))
    by_point0[:, :2, :2] = np.eye(2)
    to_current = state.rotation.T
    relative = point - depth * state.position
    point1 = relative @ state.rotation
    by_point1 = np.zeros((count, 3, 3))
    by_point1[:, :, :2] = to_current[:, :2]
    by_point1[:, :, 2] = -to_current @ state.position
    by_pose1 = np.zeros((count, 3, 6))
    by_pose1[:, :, :3] = -depth[:, :, None] * to_current
    by_pose1[:, :, 3:] = to_current @ skews(relative)

    residual = np.zeros((count, ROWS))
    by_shared, by_point = np.zeros((count, ROWS, 9)), np.zeros((count, ROWS, 3))
    projected, slope = project(point)
    residual[:, 0:2] = projected
    by_point[:, 0:2] = slope @ by_point0
    projected, slope = project(point1)
    residual[:, 4:6] = projected
    by_point[:, 4:6], by_shared[:, 4:6, :6] = slope @ by_point1, slope @ by_pose1
    if rig is not None:
        turned = rig.turned(state.turn)
        turn, shift = turned.rotation, turned.translation
        for rows, seen, by_seen in (
            (slice(2, 4), point, by_point0),
            (slice(6, 8), point1, by_point1),
        ):
            right = seen @ turn.T + depth * shift
            projected, slope = project(right)
            by_right = turn @ by_seen
            by_right[:, :, 2] += shift
            residual[:, rows], by_point[:, rows] = projected, slope @ by_right
            by_shared[:, rows, 6:] = -slope @ skews(right)
        by_shared[:, 6:8, :6] = slope @ (turn @ by_pose1)
    residual[:, :8] = focal * (residual[:, :8] - observed)
    by_shared[:, :8] *= focal
    by_point[:, :8] *= focal
    return System(residual, by_shared, by_point, np.zeros(count, dtype=np.int64))


def reduce(system: System, weight: Array, damping: float | Array = 0.0) -> tuple[Array, Array]:
    """Rows `P J_shared` (N, 9, 9) with the points eliminated, and inverse point blocks (N, 3, 3).

    `P = w (I - J (J^T J)^-1 J^T)`, J the derivative by the point; the inverse blocks are those of
    `J^T J` without the weight.
    """
    by_point = system.by_point
    block = np.einsum("nri,nrj->nij", by_point, by_point)
    diagonal = np.einsum("nii->ni", block)
    raised = (np.reshape(damping, (-1, 1)) + 1e-12) * diagonal + 1e-12
    block = block + np.einsum("ni,ij->nij", raised, np.eye(3))
    inverse = np.linalg.inv(block)
    mixed = np.einsum("nri,nrj->nij", by_point, system.by_shared)
    reduced = system.by_shared - by_point @ (inverse @ mixed)
    return weight[:, None, None] * reduced, inverse


def project(points: Array) -> tuple[Array, Array]:
    """Normalised coordinates (N, 2) of points (N, 3), and their derivative (N, 2, 3)."""
    z = points[:, 2]
    z = np.where(np.abs(z) > 1e-6, z, 1e-6)
    projected = points[:, :2] / z[:, None]
    slope = np.zeros((len(points), 2, 3))
    slope[:, 0, 0] = slope[:, 1, 1] = 1.0 / z
    slope[:, :, 2] = -projected / z[:, None]
    return projected, slope


def skews(vectors: Array) -> Array:
    """Matrices (N, 3, 3) of the cross product with `vectors` (N, 3)."""
    units = np.stack([skew(axis) for axis in np.eye(3)])
    return np.einsum("nk,kij->nij", vectors, units)
