"""Motion of a camera, or of a stereo rig, from one frame to another: bundle adjustment of two.

Unknown are the pose of the current left camera in the reference one, and each point as its ray and
inverse depth in the reference left camera (points far away are no special case). A point is seen
in up to four views: left and right, reference and current. Points are eliminated one by one (Schur
complement), so the work is linear in their number. A small rotation of the right camera against its
calibration can be unknown, too: a tenth of a degree changes every depth, and so the scale.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.pose import cross
from msga_ros.odometry.bundle import CHI2_99, CONVERGED, Bundle, robust_sigma
from msga_ros.odometry.observations import Observations, Rig, RigBelief, TwoFrameSolution
from msga_ros.odometry.reprojection import State

Array = npt.NDArray[np.float64]

_BEHIND = -0.01  # inverse depth: points far away may come out a little behind the camera
_WIDE = 5.0  # times the gate: what is farther off never takes part
_ABOUT = 1e-2  # share of the cost that a step gains where outliers are told from inliers after it
_SMALLEST_GATE = 0.4  # pixels; keypoints scatter more in some places than their median says


def solve_two_frames(
    observations: Observations,
    rotation: npt.ArrayLike,
    position: npt.ArrayLike,
    inverse_depth: npt.ArrayLike,
    *,
    rig: Rig | None,
    focal: float,
    belief: RigBelief | None = None,
    sigma: float | None = None,
    minimum_sigma: float = 0.1,
    gate_sigma: float = 1.0,
    scale_known: bool = True,
    iterations: int = 10,
) -> TwoFrameSolution | None:
    """Refine a motion by the reprojection errors of all views; None where it is not determined.

    Args:
        observations: of N points.
        rotation, position: a first guess, current left camera in the reference one.
        inverse_depth: (N,) first guesses, NaN where there is none.
        rig: None for one camera.
        focal: pixels, to weigh and report in.
        belief: how well the rig's rotation is known; None: exactly.
        sigma: standard deviation of an image coordinate, pixels. None: estimated from the
            residuals, at least `minimum_sigma`.
        gate_sigma: largest sigma, pixels, that separates outliers from inliers.
        scale_known: False: the length of the translation is not observable; it stays as it was.
        iterations: at most, before and after the outliers are taken out.
    """
    rotation = np.asarray(rotation, dtype=np.float64)
    position = np.asarray(position, dtype=np.float64)
    state = State(
        rotation,
        position,
        observations.left0,
        _start(observations, rotation, position, np.asarray(inverse_depth, np.float64)),
        belief.mean if belief else np.zeros(3),
    )
    problem = Bundle(observations, rig, focal, belief, scale_known)
    minimum = 0.0 if sigma else _SMALLEST_GATE
    scale, inlier = gate_sigma, problem.usable
    # Far outliers first: they must not pull at the motion. Then by what the rest scatters.
    for wide in (True, False):
        state, errors = problem.settle(state, scale)
        usable = problem.usable & (errors.freedom > 0) & (state.inverse_depth > _BEHIND)
        limit = _WIDE * gate_sigma
        if not wide:
            scale = sigma or robust_sigma(errors, usable & inlier, minimum, gate_sigma)
            limit = scale
        inlier = usable & (errors.squared < limit**2 * CHI2_99[errors.freedom])
        if (errors.freedom * inlier).sum() <= 6:
            return None
        kept = Bundle(observations.subset(inlier), rig, focal, belief, scale_known)
        begin = replace(state, ray=state.ray[inlier], inverse_depth=state.inverse_depth[inlier])
        refined = kept.minimise(begin, scale, iterations, _ABOUT if wide else CONVERGED)
        if refined is None:
            return None
        ray, depth = state.ray.copy(), state.inverse_depth.copy()
        ray[inlier], depth[inlier] = refined.ray, refined.inverse_depth
        state = replace(refined, ray=ray, inverse_depth=depth)
    assert refined is not None  # mypy: the loop ran
    return kept.report(refined, inlier, scale, sigma, minimum_sigma)


def _start(observations: Observations, rotation: Array, position: Array, known: Array) -> Array:
    """First inverse depths (N,): what is known, else from the two left views."""
    rays0 = np.column_stack([observations.left0, np.ones(len(observations))])
    rays1 = np.column_stack([observations.left1, np.ones(len(observations))])
    turn = cross(rays1, rays0 @ rotation)
    shift = cross(rays1, -position @ rotation)
    found = -(shift * turn).sum(1) / np.maximum((shift**2).sum(1), 1e-18)
    return np.clip(np.where(np.isfinite(known), known, found), 1e-4, None)
