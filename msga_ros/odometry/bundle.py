"""Bundle adjustment of two frames: the normal equations, with points eliminated, and the steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.odometry.observations import ROWS, Observations, Rig, RigBelief, TwoFrameSolution
from msga_ros.odometry.reprojection import (
    State,
    System,
    inverse_blocks,
    normal_equations,
    reduce,
    reprojection_system,
)

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# Squared error per sigma^2 that 95 % and 99 % of good points stay below, by the degrees of freedom
# of a point (observed rows less the three of the point itself).
CHI2_95 = np.array([np.inf, 3.841, 5.991, 7.815, 9.488, 11.070, 12.592])
CHI2_99 = np.array([np.inf, 6.635, 9.210, 11.345, 13.277, 15.086, 16.812])
_SINGULAR = 1e-12
_STEPS_TO_SETTLE = 6
_SETTLED = 1e-3  # of sigma^2: what no point's squared error gains any more
CONVERGED = 1e-6  # share of the cost that a step gains at the end


@dataclass(frozen=True)
class Errors:
    """Of N points: squared error (N,), pixels squared, and degrees of freedom (N,)."""

    squared: Array
    freedom: npt.NDArray[np.int64]


class Bundle:
    """The observations of one solution, in pixels."""

    def __init__(
        self,
        observations: Observations,
        rig: Rig | None,
        focal: float,
        belief: RigBelief | None,
        scale_known: bool,
    ) -> None:
        views = (observations.left0, observations.right0, observations.left1, observations.right1)
        self._observed = np.concatenate(views, axis=1)
        self._prior = observations.inverse_depth
        self._prior_sigma = observations.inverse_depth_sigma
        self._weight = observations.weight
        self._rig = rig
        self._belief = belief if rig is not None else None
        self._focal = focal
        self._scale_known = scale_known
        seen = np.column_stack([np.isfinite(self._observed), np.isfinite(self._prior)])
        self._missing = np.nonzero(~seen)
        self._freedom = np.maximum(seen.sum(axis=1) - 3, 0)
        self._last: tuple[State, float, System] | None = None  # accepted by `minimise`
        self.usable: Bools = seen[:, 0] & seen[:, 4]

    def linearise(self, state: State, prior_unit: float = 1.0, shared: bool = True) -> System:
        """Rows and derivatives at `state`; `prior_unit`: pixels that a prior's sigma counts.
        `shared`: the derivatives by what all points share, too."""
        system = reprojection_system(self._observed, state, self._rig, self._focal, shared)
        per_sigma = prior_unit / self._prior_sigma
        system.residual[:, 8] = (state.inverse_depth - self._prior) * per_sigma
        system.by_point[:, 8, 2] = per_sigma
        missing = self._missing
        system.residual[missing] = 0.0
        system.by_shared[missing] = 0.0
        system.by_point[missing] = 0.0
        return replace(system, freedom=self._freedom)

    def settle(self, state: State, sigma: float) -> tuple[State, Errors]:
        """The best points for the motion as it is, each on its own, and their errors.

        `sigma`: standard deviation of a coordinate, pixels, by which depths known beforehand weigh
        against what is seen."""
        system = self.linearise(state, sigma, shared=False)
        residual, by_point, squared = system.residual, system.by_point, system.squared
        damping: Array = np.full(len(self._observed), 1e-4)
        for _ in range(_STEPS_TO_SETTLE):
            pulled = np.einsum("nrk,nr->nk", by_point, residual)
            step = -np.einsum("nij,nj->ni", inverse_blocks(by_point, damping), pulled)
            tried = replace(
                state, ray=state.ray + step[:, :2], inverse_depth=state.inverse_depth + step[:, 2]
            )
            candidate = self.linearise(tried, sigma, shared=False)
            better = candidate.squared < squared
            damping = np.where(better, damping / 10.0, damping * 10.0)
            state = replace(
                state,
                ray=np.where(better[:, None], tried.ray, state.ray),
                inverse_depth=np.where(better, tried.inverse_depth, state.inverse_depth),
            )
            residual[better], by_point[better] = (
                candidate.residual[better],
                candidate.by_point[better],
            )
            gained = np.where(better, squared - candidate.squared, 0.0)
            squared = np.where(better, candidate.squared, squared)
            if gained.max(initial=0.0) < _SETTLED * sigma**2:
                break
        return state, Errors(squared, self._freedom)

    def minimise(
        self, state: State, sigma: float, iterations: int, converged: float
    ) -> State | None:
        """Levenberg-Marquardt with Huber weights on whole points, until a step gains no more than
        the share `converged` of the cost; `sigma`: of a coordinate, pixels. None where the motion
        is not determined."""
        system = self.linearise(state, sigma)
        cost, damping = self._cost(system, sigma, state), 1e-4
        for _ in range(iterations):
            step = self._step(system, sigma, damping, state)
            if step is None:
                return None
            tried = self._apply(state, *step)
            candidate = self.linearise(tried, sigma)
            new_cost = self._cost(candidate, sigma, tried)
            if not new_cost < cost:
                damping *= 10.0
                if damping > 1e3:
                    break
                continue
            gained, cost = cost - new_cost, new_cost
            state, system, damping = tried, candidate, damping / 10.0
            if gained < converged * cost:
                break
        self._last = (state, sigma, system)
        return state if np.isfinite(cost) else None

    def report(
        self, state: State, inlier: Bools, scale: float, sigma: float | None, minimum: float
    ) -> TwoFrameSolution | None:
        """The solution `state` of the inliers, put back among all points (N,) of `inlier`.

        In pixels: `scale`, by which the points were weighed; `sigma` of a coordinate, None: from
        the residuals, at least `minimum`. None where the motion is not determined."""
        if self._last is not None and self._last[0] is state and self._last[1] == scale:
            system = self._last[2]
        else:
            system = self.linearise(state, scale)
        weight = self._weight * _huber(system, scale)
        reduced, inverse = reduce(system, weight)
        basis = self._basis(state)
        normal = system.by_shared.reshape(-1, 9).T @ reduced.reshape(-1, 9)
        # In units of the diagonal: metres and radians do not compare.
        hessian = basis.T @ normal @ basis
        unit = np.sqrt(np.maximum(np.diag(hessian), 1e-30))
        if not np.linalg.eigvalsh(hessian / unit / unit[:, None])[0] > _SINGULAR:
            return None
        if sigma is None:
            freedom = float((weight * system.freedom).sum()) - basis.shape[1]
            left = float((weight * system.squared).sum()) / max(freedom, 1.0)
            sigma = max(float(np.sqrt(left)), minimum)
        belief = self._belief
        if belief is not None:
            hessian[-3:, -3:] += sigma**2 * belief.information
        solve = basis @ np.linalg.inv(hessian) @ basis.T
        some = solve[:6] @ reduced.transpose(0, 2, 1)
        by_rig, posterior = np.zeros((6, 3)), None
        if belief is not None:
            by_rig = sigma**2 * solve[:6, 6:] @ np.linalg.cholesky(belief.information)
            seen = normal[6:, 6:] - normal[6:, :6] @ np.linalg.solve(normal[:6, :6], normal[:6, 6:])
            posterior = RigBelief(state.turn, belief.information + seen / sigma**2)
        count = len(inlier)
        sensitivity = np.zeros((count, 6, ROWS))
        sensitivity[inlier] = some
        ray, depth = np.full((count, 2), np.nan), np.full((count, 2), np.nan)
        ray[inlier] = state.ray
        depth[inlier, 0] = state.inverse_depth
        depth[inlier, 1] = sigma * np.sqrt(inverse[:, 2, 2])
        return TwoFrameSolution(
            rotation=state.rotation,
            position=state.position,
            covariance=sigma**2 * np.einsum("nir,njr->ij", some, some) + by_rig @ by_rig.T,
            inlier=inlier,
            ray=ray,
            inverse_depth=depth[:, 0],
            inverse_depth_sigma=depth[:, 1],
            sensitivity=sensitivity,
            sigma=sigma,
            by_rig=by_rig,
            rig=posterior,
        )

    def _cost(self, system: System, sigma: float, state: State) -> float:
        squared = system.squared[self.usable] / sigma**2
        limit = CHI2_95[system.freedom[self.usable]]
        robust = np.minimum(squared, 2 * np.sqrt(np.minimum(limit, 1e9) * squared) - limit)
        robust = np.where(squared <= limit, squared, robust)
        cost = float((self._weight[self.usable] * robust).sum())
        if self._belief is not None:
            away = state.turn - self._belief.mean
            cost += float(away @ self._belief.information @ away)
        return cost

    def _step(
        self, system: System, sigma: float, damping: float, state: State
    ) -> tuple[Array, Array] | None:
        weight = np.where(self.usable, self._weight * _huber(system, sigma), 0.0)
        hessian, gradient, inverse = normal_equations(system, weight, damping)
        basis = self._basis(state)
        hessian, gradient = basis.T @ hessian @ basis, basis.T @ gradient
        if self._belief is not None:
            information = sigma**2 * self._belief.information
            hessian[-3:, -3:] += information
            gradient[-3:] += information @ (state.turn - self._belief.mean)
        hessian[np.diag_indices_from(hessian)] *= 1.0 + damping
        try:
            shared = basis @ np.linalg.solve(hessian, -gradient)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(shared).all():
            return None
        shifted = system.residual + system.by_shared @ shared
        pulled = np.einsum("nrk,nr->nk", system.by_point, shifted)
        return shared, -np.einsum("nij,nj->ni", inverse, pulled)

    def _apply(self, state: State, shared: Array, points: Array) -> State:
        position = state.position + shared[:3]
        if not self._scale_known:
            position *= np.linalg.norm(state.position) / np.linalg.norm(position)
        return State(
            rotation_matrix(shared[3:6]) @ state.rotation,
            position,
            state.ray + points[:, :2],
            state.inverse_depth + points[:, 2],
            state.turn + shared[6:],
        )

    def _basis(self, state: State) -> Array:
        """Directions (9, k) of pose and right camera that the observations can tell."""
        basis = np.eye(9)
        if self._belief is None:
            basis = basis[:, :6]
        if self._scale_known:
            return basis
        across = np.zeros((9, 2))
        across[:3] = np.linalg.svd(state.position[None])[2][1:].T
        return np.hstack([across, basis[:, 3:]])


def _huber(system: System, sigma: float) -> Array:
    ratio = CHI2_95[system.freedom] * sigma**2 / np.maximum(system.squared, 1e-30)
    return np.sqrt(np.minimum(ratio, 1.0))


def robust_sigma(errors: Errors, usable: Bools, minimum: float, maximum: float) -> float:
    """Standard deviation of a coordinate, pixels, `minimum` to `maximum`, of the `usable` points
    (N,): from the median of their mean squared errors, which outliers hardly move."""
    per_freedom = errors.squared[usable] / errors.freedom[usable]
    if len(per_freedom) == 0:
        return maximum
    # The median of chi2_k / k is about (1 - 2 / 9k)^3.
    expected = np.mean((1.0 - 2.0 / (9.0 * errors.freedom[usable])) ** 3)
    return float(np.clip(np.sqrt(np.median(per_freedom) / expected), minimum, maximum))
