"""Calibrated cameras: pixels to the normalised plane and back.

Pixel (0, 0) is the centre of the top-left pixel. Normalised coordinates are those of the optical
frame (x right, y down, z forward: REP-103) on the plane z = 1, distortion removed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from msga_ros.foreign_text import shown
from msga_ros.geometry.distortion import COEFFICIENTS, distort, lens, undistort

Array = npt.NDArray[np.float64]

_ABSURD = 1e6  # no distortion coefficient of a lens comes near it
_MOST_COEFFICIENTS = 64  # some drivers pad with zeros
_LARGEST_PX = 1e7  # nor a focal length or a principal point, in pixels
_SMALLEST_FOCAL_PX = 1e-2  # one in metres or millimetres may be smaller; none of pixels is


class CameraError(ValueError):
    """A calibration that cannot be used; the message says which entry and why."""


class RegionOfInterest(Protocol):
    """`sensor_msgs/RegionOfInterest`."""

    @property
    def x_offset(self) -> int: ...

    @property
    def y_offset(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


class CameraInfo(Protocol):
    """What is read of a `sensor_msgs/CameraInfo`, whoever made it."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def distortion_model(self) -> str: ...

    @property
    def d(self) -> npt.ArrayLike: ...

    @property
    def k(self) -> npt.ArrayLike: ...

    @property
    def r(self) -> npt.ArrayLike: ...

    @property
    def p(self) -> npt.ArrayLike: ...

    @property
    def binning_x(self) -> int: ...

    @property
    def binning_y(self) -> int: ...

    @property
    def roi(self) -> RegionOfInterest: ...


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics of one camera, for the image as received.

    `k` is the 3x3 calibration matrix in pixels, `distortion_model` one of none, plumb_bob,
    rational_polynomial, equidistant, `distortion` its coefficients in the order of `CameraInfo.d`.
    `width` and `height` are the image's in pixels, 0 where unknown. Arrays are copied to read-only
    float64. Raises `CameraError`.
    """

    k: Array
    distortion_model: str = "none"
    distortion: Array = field(default_factory=lambda: np.empty(0))
    width: int = 0
    height: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", _calibration_matrix(self.k))
        object.__setattr__(
            self, "distortion", _coefficients(self.distortion_model, self.distortion)
        )
        if self.width < 0 or self.height < 0:
            raise CameraError(f"image size {self.width}x{self.height} is negative")

    @classmethod
    def pinhole(
        cls, fx: float, fy: float, cx: float, cy: float, width: int = 0, height: int = 0
    ) -> Camera:
        """A camera without distortion; all in pixels."""
        k = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
        return cls(k, width=width, height=height)

    @classmethod
    def from_camera_info(cls, info: CameraInfo, rectified: bool) -> Camera:
        """The camera of a `sensor_msgs/CameraInfo` (or anything with its fields).

        `rectified=True`: the images are rectified, so K is the left 3x3 of `p` and there is no
        distortion; poses then refer to the rectified optical frame (the raw one turned by `r`).
        `rectified=False`: `k`, `d` and `distortion_model`, poses in the raw optical frame. An empty
        or all-zero `d` means no distortion, but an ideal fisheye where the model is equidistant.

        Binning and region of interest are honoured as `image_geometry` does: the message holds the
        full-resolution calibration, the image is the region `roi` of it, binned:
        `u = (u_full - x_offset) / binning`. Raises `CameraError`, which names the field.
        """
        if rectified:
            matrix = _vector(info.p, 12, "p").reshape(3, 4)[:, :3]
            name = "p"
            model, coefficients = lens("none", ())
        else:
            matrix = _vector(info.k, 9, "k").reshape(3, 3)
            count = np.size(info.d)
            if count > _MOST_COEFFICIENTS:
                raise CameraError(f"{count} distortion coefficients: no model has so many")
            model, coefficients = lens(str(info.distortion_model), info.d)
            name = "k"
        if not matrix.any():
            raise CameraError(f"camera_info: {name} is all zeros (the camera is not calibrated)")
        binning = (max(int(info.binning_x), 1), max(int(info.binning_y), 1))
        roi = info.roi
        size = (
            (int(roi.width) or int(info.width)) // binning[0],
            (int(roi.height) or int(info.height)) // binning[1],
        )
        offset = np.array([[0, 0, roi.x_offset], [0, 0, roi.y_offset], [0, 0, 0]], dtype=np.float64)
        scale = np.diag([1.0 / binning[0], 1.0 / binning[1], 1.0])
        try:
            return cls(scale @ (matrix - offset), model, coefficients, *size)
        except CameraError as error:
            raise CameraError(f"camera_info: {name}: {error}") from None

    @property
    def mean_focal(self) -> float:
        """Mean of the two focal lengths, pixels."""
        return float(self.k[0, 0] + self.k[1, 1]) / 2.0

    def normalize(self, points_px: npt.ArrayLike) -> Array:
        """Pixels `(N, 2)` to normalised coordinates `(N, 2)` float64: K^-1, then undistortion.

        NaN for points that the distortion model cannot explain (outside its monotonic range, or
        90 degrees and more off the axis of a fisheye) and for NaN input.
        """
        points = _points(points_px)
        # K is upper triangular with last row (0, 0, 1): solve it from below.
        y = (points[:, 1] - self.k[1, 2]) / self.k[1, 1]
        x = (points[:, 0] - self.k[0, 2] - self.k[0, 1] * y) / self.k[0, 0]
        return undistort(np.stack([x, y], axis=-1), self.distortion_model, self.distortion)

    def project(self, points_normalized: npt.ArrayLike) -> Array:
        """Normalised coordinates `(N, 2)` to pixels `(N, 2)` float64: distortion, then K."""
        distorted = distort(_points(points_normalized), self.distortion_model, self.distortion)
        return distorted @ self.k[:2, :2].T + self.k[:2, 2]

    def scaled(self, scale_x: float, scale_y: float | None = None) -> Camera:
        """The camera of the image resized by these factors (the second as the first if left out).

        Pixel centres move as in `cv2.resize`: `u' = (u + 0.5) * scale - 0.5`.
        """
        scale_y = scale_x if scale_y is None else scale_y
        if not (scale_x > 0 and scale_y > 0):
            raise CameraError(f"scale factors must be positive, not {scale_x}, {scale_y}")
        resize = np.array(
            [
                [scale_x, 0.0, 0.5 * scale_x - 0.5],
                [0.0, scale_y, 0.5 * scale_y - 0.5],
                [0.0, 0.0, 1.0],
            ]
        )
        size = (round(self.width * scale_x), round(self.height * scale_y))
        return Camera(resize @ self.k, self.distortion_model, self.distortion, *size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Camera):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        coefficients = tuple(self.distortion.tolist())
        intrinsics = tuple(self.k.ravel().tolist())
        return (intrinsics, self.distortion_model, coefficients, self.width, self.height)


def stereo_shift(info_left: CameraInfo, info_right: CameraInfo) -> Array | None:
    """Where the left camera's centre is in the right one of a rectified pair, (3,) metres.

    `p = K [I | b]` projects points of one frame, common to both cameras, into each: the shift is
    the difference of both `b`, so that neither camera needs to be in the origin (`p[3] = -fx *
    baseline` where the left one is). None where the messages do not say: `p` of two single cameras,
    or a right one that is not filled in. Raises `CameraError` where `p` is malformed.
    """
    if not np.asarray(info_right.p, dtype=np.float64).any():
        return None
    shift = _rectified_offset(info_right) - _rectified_offset(info_left)
    return shift if shift.any() else None


def _rectified_offset(info: CameraInfo) -> Array:
    """`b` (3,) of `p = K [I | b]`; zeros where `p` is not filled in."""
    p = _vector(info.p, 12, "p").reshape(3, 4)
    if not p[:, 3].any():
        return np.zeros(3)
    if not (np.diag(p) > 0).all():
        raise CameraError("camera_info: p has a translation but no positive focal length")
    try:
        return np.asarray(np.linalg.solve(p[:, :3], p[:, 3]))
    except np.linalg.LinAlgError:
        raise CameraError("camera_info: p has a translation but cannot be inverted") from None


def _vector(values: npt.ArrayLike, size: int, name: str) -> Array:
    vector = np.asarray(values, dtype=np.float64).ravel()
    if vector.size != size:
        raise CameraError(f"camera_info: {name} has {vector.size} entries, not {size}")
    if not np.isfinite(vector).all():
        raise CameraError(f"camera_info: {name} holds NaN or infinity")
    return vector


def _points(points: npt.ArrayLike) -> Array:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"points must have the shape (N, 2), not {array.shape}")
    return array


def _calibration_matrix(k: npt.ArrayLike) -> Array:
    matrix = np.array(k, dtype=np.float64)
    if matrix.shape != (3, 3):
        raise CameraError(f"the calibration matrix must be 3x3, not {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise CameraError("the calibration matrix holds NaN or infinity")
    if not (matrix[0, 0] > 0 and matrix[1, 1] > 0):
        raise CameraError(f"focal lengths {matrix[0, 0]:g}, {matrix[1, 1]:g} are not positive")
    if matrix[1, 0] != 0 or not np.array_equal(matrix[2], [0.0, 0.0, 1.0]):
        raise CameraError("the calibration matrix must be [fx s cx; 0 fy cy; 0 0 1]")
    if not np.abs(matrix).max() < _LARGEST_PX:
        raise CameraError(f"the calibration matrix holds {np.abs(matrix).max():g}: not pixels")
    if min(matrix[0, 0], matrix[1, 1]) < _SMALLEST_FOCAL_PX:
        raise CameraError(f"focal lengths {matrix[0, 0]:g}, {matrix[1, 1]:g} are not in pixels")
    matrix.flags.writeable = False
    return matrix


def _coefficients(model: str, values: npt.ArrayLike) -> Array:
    if model not in COEFFICIENTS:
        known = ", ".join(COEFFICIENTS)
        raise CameraError(f"unknown distortion model {shown(repr(model))} (known: {known})")
    coefficients: Array = np.array(values, dtype=np.float64).ravel()
    if not (np.abs(coefficients) < _ABSURD).all():
        raise CameraError("the distortion coefficients hold NaN, infinity or absurd values")
    counts = COEFFICIENTS[model]
    if coefficients.size == 0:
        coefficients = np.zeros(counts[0])  # the ideal lens of its kind
    if coefficients.size > counts[-1] and not coefficients[counts[-1] :].any():
        coefficients = coefficients[: counts[-1]]  # drivers pad with zeros
    if coefficients.size not in counts:
        expected = " or ".join(str(count) for count in counts)
        raise CameraError(f"{model} has {expected} coefficients, not {coefficients.size}")
    coefficients.flags.writeable = False
    return coefficients
