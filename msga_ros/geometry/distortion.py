"""Lens distortion models of `sensor_msgs/CameraInfo`, forward and inverse, on the plane z = 1.

`distort` maps ideal pinhole coordinates (x / z, y / z) to distorted ones (before K); `undistort`
inverts it. The three models and the order of their coefficients are those of
`sensor_msgs/distortion_models.hpp` and of OpenCV:

- plumb_bob (k1, k2, p1, p2[, k3]): Brown, "Decentering distortion of lenses", 1966;
- rational_polynomial (k1, k2, p1, p2[, k3[, k4, k5, k6]]): the same with a radial denominator;
- equidistant (k1, k2, k3, k4): Kannala and Brandt, "A generic camera model ...", PAMI 2006, eq. 6.

A polynomial has a largest radius up to which it grows; beyond it one distorted point has several
or no originals. `undistort` returns NaN there rather than a point of a wrong branch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

COEFFICIENTS: dict[str, tuple[int, ...]] = {
    "none": (0,),
    "plumb_bob": (4, 5),
    "rational_polynomial": (4, 5, 8),
    "equidistant": (4,),
}

# What drivers, calibration programs and data sets call these models, in lower case.
_OTHER_NAMES = {
    "radtan": "plumb_bob",
    "radial-tangential": "plumb_bob",
    "radial_tangential": "plumb_bob",
    "brown_conrady": "plumb_bob",
    "rational": "rational_polynomial",
    "equi": "equidistant",
    "fisheye": "equidistant",
    "kannala_brandt": "equidistant",
    "kannala_brandt4": "equidistant",
    "kannala_brandt8": "equidistant",
    "kannalabrandt8": "equidistant",
    "opencv_fisheye": "equidistant",
}

# Of these, too, coefficients of zero are no pinhole; they are not supported.
_OTHER_LENSES = frozenset(
    (
        *("fov", "atan", "omni", "omnidirectional", "mei", "ucm", "eucm", "ds", "double_sphere"),
        *("scaramuzza", "ocam", "ftheta", "equisolid", "orthographic", "stereographic"),
        *("thin_prism_fisheye", "rad_tan_thin_prism_fisheye", "fisheye624"),
    )
)


def lens(name: str, coefficients: npt.ArrayLike) -> tuple[str, Array]:
    """The model and the coefficients of a lens as a calibration states them.

    `name` may be any usual name of a model. No coefficients, or zeros alone, are a pinhole without
    distortion, whatever the name (or none) says; but of a fisheye they are the ideal one, whose
    pixels are proportional to the angle, and other wide lenses keep their name. Nothing is checked
    here: `Camera` does.
    """
    model = name.strip().lower()
    model = _OTHER_NAMES.get(model, model)
    values: Array = np.asarray(coefficients, dtype=np.float64).ravel()
    if values.any() or model.replace("-", "_") in _OTHER_LENSES:
        return (model if model in COEFFICIENTS else name), values
    return (model, np.zeros(4)) if model == "equidistant" else ("none", np.empty(0))


_LARGEST_ANGLE = np.deg2rad(89.0)  # off the axis, of pinhole coordinates; the table ends here
_TABLE_SIZE = 1024
_ITERATIONS = 20
_TOLERANCE = 1e-10  # of the distorted coordinates: far below a thousandth of a pixel


def distort(points: Array, model: str, coefficients: Array) -> Array:
    """Distorted coordinates `(N, 2)` of pinhole coordinates `(N, 2)`. NaN stays NaN."""
    if model == "none":
        return points.copy()
    if model == "equidistant":
        radius = np.hypot(points[:, 0], points[:, 1])
        angle = np.arctan(radius)
        safe = np.where(radius > 1e-12, radius, 1.0)
        scale = np.where(radius > 1e-12, _fisheye(angle, coefficients)[0] / safe, 1.0)
        return points * scale[:, None]
    return _brown(points, _eight(coefficients))[0]


def undistort(points: Array, model: str, coefficients: Array) -> Array:
    """Pinhole coordinates `(N, 2)` of distorted coordinates `(N, 2)`.

    A table of the radial profile gives the start, Newton's method with the analytic derivative
    the rest (about 3 iterations). NaN for points that the model does not reach on its first
    monotonic branch and, for equidistant, from 90 degrees off the axis (they have no image on the
    plane z = 1).
    """
    if model == "none":
        return points.copy()
    with np.errstate(all="ignore"):  # points outside the range of the model become NaN
        if model == "equidistant":
            return _undistort_fisheye(points, coefficients)
        return _undistort_brown(points, _eight(coefficients))


def _eight(coefficients: Array) -> Array:
    """Plumb_bob written as rational_polynomial: missing coefficients are zero."""
    padded = np.zeros(8)
    padded[: coefficients.size] = coefficients
    return padded


def _brown(points: Array, c: Array) -> tuple[Array, Array]:
    """Rational and tangential distortion `(N, 2)` and its derivative `(N, 2, 2)`."""
    k1, k2, p1, p2, k3, k4, k5, k6 = c
    x, y = points[:, 0], points[:, 1]
    s = x * x + y * y
    numerator = 1 + s * (k1 + s * (k2 + s * k3))
    denominator = 1 + s * (k4 + s * (k5 + s * k6))
    radial = numerator / denominator
    numerator_ds = k1 + s * (2 * k2 + s * 3 * k3)
    denominator_ds = k4 + s * (2 * k5 + s * 3 * k6)
    radial_ds = (numerator_ds - radial * denominator_ds) / denominator
    distorted = np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (s + 2 * x * x),
            y * radial + p1 * (s + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )
    mixed = 2 * x * y * radial_ds + 2 * p1 * x + 2 * p2 * y
    derivative = np.empty((len(points), 2, 2))
    derivative[:, 0, 0] = radial + 2 * x * x * radial_ds + 2 * p1 * y + 6 * p2 * x
    derivative[:, 0, 1] = mixed
    derivative[:, 1, 0] = mixed
    derivative[:, 1, 1] = radial + 2 * y * y * radial_ds + 6 * p1 * y + 2 * p2 * x
    return distorted, derivative


def _undistort_brown(points: Array, c: Array) -> Array:
    table: Array = np.tan(np.linspace(0.0, _LARGEST_ANGLE, _TABLE_SIZE))
    on_axis = np.column_stack([table, np.zeros_like(table)])
    radial_only = np.concatenate([c[:2], [0.0, 0.0], c[4:]])
    profile, slope = _brown(on_axis, radial_only)
    table, profile, largest = _first_branch(table, profile[:, 0], slope[:, 0, 0])
    radius = np.hypot(points[:, 0], points[:, 1])
    start = np.interp(radius, profile, table)
    result = points * np.where(radius > 1e-12, start / np.maximum(radius, 1e-12), 1.0)[:, None]
    for _ in range(_ITERATIONS):
        distorted, derivative = _brown(result, c)
        residual = points - distorted
        if not np.any(np.abs(residual) > 0.01 * _TOLERANCE):
            break
        a, b, d = derivative[:, 0, 0], derivative[:, 0, 1], derivative[:, 1, 1]
        determinant = a * d - b * b  # the derivative is symmetric
        step = np.stack(
            [
                (d * residual[:, 0] - b * residual[:, 1]) / determinant,
                (a * residual[:, 1] - b * residual[:, 0]) / determinant,
            ],
            axis=-1,
        )
        result = result + step
    distorted, derivative = _brown(result, c)
    # A proper solution is reached, inside the monotonic range, and does not mirror the image.
    converged = np.max(np.abs(points - distorted), axis=-1) < _TOLERANCE
    inside = np.hypot(result[:, 0], result[:, 1]) <= largest
    upright = (np.linalg.det(derivative) > 0) & (np.trace(derivative, axis1=1, axis2=2) > 0)
    return np.where((converged & inside & upright)[:, None], result, np.nan)


def _fisheye(angle: Array, c: Array) -> tuple[Array, Array]:
    """Distorted radius of an angle off the axis (rad), and its derivative; shapes as `angle`."""
    s = angle * angle
    value = angle * (1 + s * (c[0] + s * (c[1] + s * (c[2] + s * c[3]))))
    slope = 1 + s * (3 * c[0] + s * (5 * c[1] + s * (7 * c[2] + s * 9 * c[3])))
    return value, slope


def _undistort_fisheye(points: Array, c: Array) -> Array:
    table = np.linspace(0.0, np.pi / 2, _TABLE_SIZE, dtype=np.float64)
    table, profile, largest = _first_branch(table, *_fisheye(table, c))
    radius = np.hypot(points[:, 0], points[:, 1])
    angle = np.interp(radius, profile, table)
    for _ in range(_ITERATIONS):
        value, gradient = _fisheye(angle, c)
        residual = radius - value
        if not np.any(np.abs(residual) > 0.01 * _TOLERANCE):
            break
        angle = angle + residual / gradient
    reached = np.abs(radius - _fisheye(angle, c)[0]) < _TOLERANCE
    growing = _fisheye(angle, c)[1] > 0  # the last table step may hold the fold
    valid = reached & growing & (angle >= 0) & (angle <= largest) & (angle < np.pi / 2)
    scale = np.where(radius > 1e-12, np.tan(angle) / np.maximum(radius, 1e-12), 1.0)
    return np.where(valid[:, None], points * scale[:, None], np.nan)


def _first_branch(table: Array, profile: Array, slope: Array) -> tuple[Array, Array, float]:
    """The table up to where the profile stops growing, and a radius just beyond that point.

    A pole of the rational model shows as a fall of the profile between two entries.
    """
    grows = (slope > 0) & (np.diff(profile, prepend=-1.0) > 0)
    end = len(table) if grows.all() else int(np.argmin(grows))
    return table[:end], profile[:end], float(table[min(end, len(table) - 1)])
