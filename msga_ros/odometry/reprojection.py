"""Reprojection errors of points in up to four views, and their derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.pose import skew
from msga_ros.odometry.observations import ROWS, Rig

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class State:
    """What is adjusted: the pose of the current camera in the reference one, and N points there."""

    rotation: Array  # (3, 3)
    position: Array  # (3,)
    ray: Array  # (N, 2), normalised coordinates
    inverse_depth: Array  # (N,), one over the unit of the position
    turn: Array  # (3,), rotation vector of the right camera, rad


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
        """(N,): of each point, the sum over its rows, pixels squared."""
        return (self.residual**2).sum(axis=1)


def reprojection_system(
    observed: Array, state: State, rig: Rig | None, focal: float, shared: bool = True
) -> System:
    """Rows and derivatives at `state`, pixels; `observed` (N, 8), NaN where nothing. The row of a
    known inverse depth is left empty, the freedom zero. `shared` False: without `by_shared`, which
    is quicker."""
    count, depth = len(observed), state.inverse_depth
    point = np.ones((count, 3))  # over the depth
    point[:, :2] = state.ray
    current = (point - depth[:, None] * state.position) @ state.rotation
    to_current = state.rotation.T
    # By ray and inverse depth: the same (3, 3) for all points.
    by_point0 = np.diag([1.0, 1.0, 0.0])
    by_point1 = np.column_stack([to_current[:, :2], -to_current @ state.position])

    residual, by_point = np.zeros((count, ROWS)), np.zeros((count, ROWS, 3))
    by_shared = np.zeros((count, ROWS, 9 if shared else 0))
    residual[:, 0:2] = focal * state.ray
    by_point[:, 0, 0] = by_point[:, 1, 1] = focal
    residual[:, 4:6], slope = _projected(current, focal)
    by_point[:, 4:6] = _times(slope, by_point1)
    if shared:
        by_shared[:, 4:6, :3] = -depth[:, None, None] * _times(slope, to_current)
        by_shared[:, 4:6, 3:6] = _times(_by_turn(residual[:, 4:6], focal), to_current)
    if rig is not None:
        turned = rig.turned(state.turn)
        turn, shift = turned.rotation, turned.translation
        for rows, left, by_left in (
            (slice(2, 4), point, by_point0),
            (slice(6, 8), current, by_point1),
        ):
            right = left @ turn.T + depth[:, None] * shift
            residual[:, rows], slope = _projected(right, focal)
            by_right = turn @ by_left
            by_right[:, 2] += shift
            by_point[:, rows] = _times(slope, by_right)
            if shared:
                by_turn = _by_turn(residual[:, rows], focal)
                by_shared[:, rows, 6:] = -by_turn
        if shared:  # `slope` and `by_turn` are those of the current right view
            to_right = turn @ to_current
            scaled = depth[:, None, None] * slope
            by_shared[:, 6:8, :3] = -_times(scaled, to_right)
            # About the left camera, not the right one.
            by_shared[:, 6:8, 3:6] = _times(by_turn - _times(scaled, skew(shift)), to_right)
    residual[:, :8] -= focal * observed
    return System(residual, by_shared, by_point, np.zeros(count, dtype=np.int64))


def reduce(system: System, weight: Array) -> tuple[Array, Array]:
    """Rows `P J_shared` (N, 9, 9) with the points eliminated, and inverse point blocks (N, 3, 3).

    `P = w (I - J (J^T J)^-1 J^T)`, J the derivative by the point; the inverse blocks are those of
    `J^T J` without the weight.
    """
    by_point = system.by_point
    inverse = inverse_blocks(by_point)
    mixed = by_point.transpose(0, 2, 1) @ system.by_shared
    reduced = system.by_shared - by_point @ (inverse @ mixed)
    return weight[:, None, None] * reduced, inverse


def normal_equations(system: System, weight: Array, damping: float) -> tuple[Array, Array, Array]:
    """`J_shared^T P J_shared` (9, 9), `J_shared^T P r` (9,) and the inverse point blocks (N, 3, 3):
    see `reduce`, whose rows are not made here."""
    by_point, by_shared = system.by_point, system.by_shared
    inverse = inverse_blocks(by_point, damping)
    mixed = by_point.transpose(0, 2, 1) @ by_shared  # (N, 3, 9)
    own = weight[:, None, None] * (inverse @ mixed)
    rows = _stacked(by_shared)
    weighted = _stacked(weight[:, None, None] * by_shared)
    hessian = rows.T @ weighted - _stacked(mixed).T @ _stacked(own)
    pulled = np.einsum("nrk,nr->nk", by_point, system.residual)
    gradient = weighted.T @ system.residual.ravel() - _stacked(own).T @ pulled.ravel()
    return hessian, gradient, inverse


def _stacked(rows: Array) -> Array:
    """Rows (N, R, K) of all points, one below the other (N R, K)."""
    return rows.reshape(-1, rows.shape[2])


def inverse_blocks(by_point: Array, damping: float | Array = 0.0) -> Array:
    """`(J^T J)^-1` (N, 3, 3) of the derivatives by the points (N, R, 3), a little damped."""
    block = by_point.transpose(0, 2, 1) @ by_point
    diagonal = np.einsum("nii->ni", block)
    raised = (np.reshape(damping, (-1, 1)) + 1e-12) * diagonal + 1e-12
    return np.asarray(np.linalg.inv(block + np.einsum("ni,ij->nij", raised, np.eye(3))))


def _projected(points: Array, focal: float) -> tuple[Array, Array]:
    """Pixels (N, 2) of points (N, 3), and their derivatives (N, 2, 3) by the points."""
    z = points[:, 2]
    inverse = focal / np.where(np.abs(z) > 1e-6, z, 1e-6)
    pixels = points[:, :2] * inverse[:, None]
    slope = np.zeros((len(points), 2, 3))
    slope[:, 0, 0] = slope[:, 1, 1] = inverse
    np.multiply(pixels, -inverse[:, None] / focal, out=slope[:, :, 2])
    return pixels, slope


def _by_turn(pixels: Array, focal: float) -> Array:
    """Cross product (N, 2, 3) of the derivatives of `pixels` (N, 2) by their points with the
    points: how a small turn moves them, but for the sign."""
    u, v = pixels.T
    across = u * v / focal
    by_turn = np.empty((len(pixels), 2, 3))
    by_turn[:, 0, 0], by_turn[:, 0, 1], by_turn[:, 0, 2] = across, -(u * u / focal + focal), v
    by_turn[:, 1, 0], by_turn[:, 1, 1], by_turn[:, 1, 2] = v * v / focal + focal, -across, -u
    return by_turn


def _times(rows: Array, matrix: Array) -> Array:
    """`rows @ matrix` of (N, K, 3) and (3, 3), as one product: N small ones take much longer."""
    return np.asarray((rows.reshape(-1, 3) @ matrix).reshape(rows.shape))


def skews(vectors: Array) -> Array:
    """Matrices (N, 3, 3) of the cross product with `vectors` (N, 3)."""
    x, y, z = vectors.T
    made = np.zeros((len(vectors), 3, 3))
    made[:, 0, 1], made[:, 0, 2], made[:, 1, 2] = -z, y, -x
    made[:, 1, 0], made[:, 2, 0], made[:, 2, 1] = z, -y, x
    return made
