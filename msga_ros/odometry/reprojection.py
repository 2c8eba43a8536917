"""Reprojection errors of points in up to four views, and their derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


def reprojection_system(
    observed: Array, state: State, rig: Rig | None, focal: float, shared: bool = True
) -> System:
    """Rows and derivatives at `state`, pixels; `observed` (N, 8), NaN where nothing. The row of a
    known inverse depth is left empty, the freedom zero. `shared` False: `by_shared` is left empty,
    which is quicker."""
    count = len(observed)
    depth = state.inverse_depth[:, None]
    point = np.column_stack([state.ray, np.ones(count)])  # over the depth
    relative = point - depth * state.position
    to_current = state.rotation.T
    current = relative @ state.rotation
    # By ray and inverse depth: the same (3, 3) for all points.
    by_point0 = np.diag([1.0, 1.0, 0.0])
    by_point1 = np.column_stack([to_current[:, :2], -to_current @ state.position])

    residual = np.zeros((count, ROWS))
    by_shared, by_point = np.zeros((count, ROWS, 9)), np.zeros((count, ROWS, 3))
    residual[:, 0:2], by_point[:, 0:2] = state.ray, by_point0[:2]
    residual[:, 4:6] = seen = _project(current)
    by_point[:, 4:6] = _through(seen, current, by_point1)
    if shared:
        by_pose = np.empty((count, 3, 6))
        by_pose[:, :, :3] = -depth[:, :, None] * to_current
        by_pose[:, :, 3:] = to_current @ skews(relative)
        by_shared[:, 4:6, :6] = _through(seen, current, by_pose)
    if rig is not None:
        turned = rig.turned(state.turn)
        turn, shift = turned.rotation, turned.translation
        for rows, left, by_left in (
            (slice(2, 4), point, by_point0),
            (slice(6, 8), current, by_point1),
        ):
            right = left @ turn.T + depth * shift
            residual[:, rows] = seen = _project(right)
            by_right = turn @ by_left
            by_right[:, 2] += shift
            by_point[:, rows] = _through(seen, right, by_right)
            if shared:
                by_shared[:, rows, 6:] = _through(seen, right, -skews(right))
        if shared:
            by_shared[:, 6:8, :6] = _through(seen, right, turn @ by_pose)
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
    inverse = inverse_blocks(by_point, damping)
    mixed = by_point.transpose(0, 2, 1) @ system.by_shared
    reduced = system.by_shared - by_point @ (inverse @ mixed)
    return weight[:, None, None] * reduced, inverse


def inverse_blocks(by_point: Array, damping: float | Array = 0.0) -> Array:
    """`(J^T J)^-1` (N, 3, 3) of the derivatives by the points (N, R, 3), a little damped."""
    block = by_point.transpose(0, 2, 1) @ by_point
    diagonal = np.einsum("nii->ni", block)
    raised = (np.reshape(damping, (-1, 1)) + 1e-12) * diagonal + 1e-12
    return np.asarray(np.linalg.inv(block + np.einsum("ni,ij->nij", raised, np.eye(3))))


def _project(points: Array) -> Array:
    """Normalised coordinates (N, 2) of points (N, 3)."""
    return np.asarray(points[:, :2] / _depth(points)[:, None])


def _through(projected: Array, points: Array, derivative: Array) -> Array:
    """Derivative (N, 2, K) of the projection, of that of the points (N, 3, K), or (3, K) of all."""
    inner = derivative[..., :2, :] - projected[:, :, None] * derivative[..., 2:, :]
    return np.asarray(inner / _depth(points)[:, None, None])


def _depth(points: Array) -> Array:
    z = points[:, 2]
    return np.where(np.abs(z) > 1e-6, z, 1e-6)


def skews(vectors: Array) -> Array:
    """Matrices (N, 3, 3) of the cross product with `vectors` (N, 3)."""
    x, y, z = vectors.T
    made = np.zeros((len(vectors), 3, 3))
    made[:, 0, 1], made[:, 0, 2], made[:, 1, 2] = -z, y, -x
    made[:, 1, 0], made[:, 2, 0], made[:, 2, 1] = z, -y, x
    return made
