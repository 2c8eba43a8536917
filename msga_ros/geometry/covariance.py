"""First-order covariance of a relative pose estimated from matches.

The pose is that of the *current* view in the *reference* frame, as `RelativePose.msg` has it:
`x_ref = R_c x_cur + c` with `R_c = R^T` and `c = -R^T t`, the inverse of `x1 = R x0 + t` (view 0
the reference, view 1 the current). Order x, y, z, rx, ry, rz: position, then a small rotation about
the axes of the reference frame, `R_true = exp([r]) R_c`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from msga_ros.geometry.pose import cross, invert_pose

Array = npt.NDArray[np.float64]

_DEGREES_OF_FREEDOM = 5
_SMALLEST_EIGENVALUE = 1e-13  # of the normal matrix, relative to the largest: below, no solution


def relative_pose_covariance(
    points0: npt.ArrayLike,
    points1: npt.ArrayLike,
    rotation: npt.ArrayLike,
    t: npt.ArrayLike,
    sigma: float | None = None,
    minimum_sigma: float = 0.0,
) -> Array:
    """Covariance `(6, 6)` of the current-in-reference pose (see above) from its inliers.

    Args:
        points0, points1: `(N, 2)`, normalised coordinates of the inliers alone.
        rotation, t: the estimate, `x1 = R x0 + t`; the length of `t` is not used.
        sigma: standard deviation of each image coordinate, normalised units (pixels divided by the
            mean focal length). None: estimated from the residuals, `sum r^2 / (N - 5)`.
        minimum_sigma: smallest value for an estimated sigma. Residuals do not show what calibration
            errors, correlated keypoints and wrong matches near their epipolar line do to the pose,
            and an inlier threshold cuts them off: on real pairs of the validation set the errors
            of PoseLib's pose were 2.8 times the standard deviation foretold without it, and 0.7
            times with one pixel, the usual inlier threshold (medians, translation).

    Returns:
        `sigma^2 B (J^T J)^-1 B^T`, J the derivative of the signed Sampson errors (their standard
        deviation is sigma to first order) by the five parameters that two views can see. The
        position block belongs to the *unit direction* of the translation: variances in rad^2
        across the direction and zero along it, because the length is 1 by definition. So the matrix
        has rank 5. NaN everywhere where the matches do not determine the motion (fewer than five,
        or six with sigma unknown; no parallax; a degenerate arrangement; NaN in the input).

        It is the lower bound that the least-squares estimate attains (PoseLib's refinement); an
        eight-point solution scatters more. First order: where the standard deviations near a
        radian, read it as "unknown".

    Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., sections 5.2.3 and 11.4.3.
    """
    residual, jacobian, basis = _sampson_system(points0, points1, rotation, t)
    unknown = np.full((6, 6), np.nan)
    freedom = len(residual) - _DEGREES_OF_FREEDOM
    if freedom < (1 if sigma is None else 0) or not np.isfinite(jacobian).all():
        return unknown
    if sigma is None:
        variance = max(float(residual @ residual) / freedom, minimum_sigma**2)
    else:
        variance = sigma**2
    values, vectors = np.linalg.eigh(jacobian.T @ jacobian)
    if not values[0] > _SMALLEST_EIGENVALUE * values[-1]:
        return unknown
    square_root = basis @ (vectors / np.sqrt(values))
    return variance * (square_root @ square_root.T)


def covariance_of_either(
    covariance: Array,
    rotation: npt.ArrayLike,
    t: npt.ArrayLike,
    other_rotation: npt.ArrayLike,
    other_t: npt.ArrayLike,
) -> Array:
    """Covariance `(6, 6)` about the motion `rotation`, unit `t` where another is as likely.

    `covariance` plus half the square of the step to the other motion (`other_rotation`, unit
    `other_t`): the second moment of a mixture of both with equal weights. The position block then
    is no longer zero along the direction of the translation.
    """
    reference, position = invert_pose(rotation, t)
    other_reference, other_position = invert_pose(other_rotation, other_t)
    turn = Rotation.from_matrix(other_reference @ reference.T).as_rotvec()
    step = np.concatenate([other_position - position, turn])
    return covariance + 0.5 * np.outer(step, step)


def _sampson_system(
    points0: npt.ArrayLike, points1: npt.ArrayLike, rotation: npt.ArrayLike, t: npt.ArrayLike
) -> tuple[Array, Array, Array]:
    """Signed Sampson errors `(N,)`, their derivative `(N, 5)`, and the parameters' basis `(6, 5)`.

    With `y = R_c x1` the epipolar constraint is `y . (c x x0) = 0`. A small rotation r turns y into
    `y + r x y`, so the gradients are `y x (c x x0)` by r, and `x0 x y` by c.
    """
    to_reference = np.asarray(rotation, dtype=np.float64).T
    position = -to_reference @ np.asarray(t, dtype=np.float64).reshape(3)
    with np.errstate(all="ignore"):  # a zero translation or a point on an epipole become NaN
        position = position / np.linalg.norm(position)
        ray0, ray1 = _rays(points0), _rays(points1)
        turned = ray1 @ to_reference.T
        normal = cross(position, ray0)  # of the epipolar plane, reference axes
        error = (turned * normal).sum(1)
        line_in_current = normal @ to_reference  # the epipolar line R (c x x0)
        line_in_reference = cross(turned, position)
        length = np.sqrt(
            (line_in_current[:, :2] ** 2).sum(1) + (line_in_reference[:, :2] ** 2).sum(1)
        )
        by_rotation = cross(turned, normal) / length[:, None]
        by_position = cross(ray0, turned) / length[:, None]
        basis = np.zeros((6, 5))
        if np.isfinite(position).all():
            basis[:3, :2] = np.linalg.svd(position[None])[2][1:].T  # across the direction
        else:
            basis[:] = np.nan
        basis[3:, 2:] = np.eye(3)
        jacobian = np.hstack([by_position, by_rotation]) @ basis
        return error / length, jacobian, basis


def _rays(points: npt.ArrayLike) -> Array:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"points must have the shape (N, 2), not {array.shape}")
    return np.column_stack([array, np.ones(len(array))])
