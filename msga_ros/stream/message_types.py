"""What is read of ROS messages, whoever made them: `rclpy`, `rosbags` or a test.

Fields have the names and meanings of the .msg files. The camera's is `CameraInfo` of
`msga_ros.geometry.camera`.
"""

from __future__ import annotations

import array
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msga_ros.geometry.camera import CameraInfo

if TYPE_CHECKING:  # `array.array` takes no parameter before Python 3.12
    Bytes = bytes | array.array[int] | NDArray[np.uint8]


class Time(Protocol):
    """`builtin_interfaces/Time`."""

    sec: int
    nanosec: int


class Header(Protocol):
    """`std_msgs/Header`."""

    stamp: Time
    frame_id: str


class Stamped(Protocol):
    """Anything with a header."""

    @property
    def header(self) -> Header: ...


class Image(Stamped, Protocol):
    """`sensor_msgs/Image`."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Bytes


class CompressedImage(Stamped, Protocol):
    """`sensor_msgs/CompressedImage`."""

    format: str
    data: Bytes


class StampedCameraInfo(Stamped, CameraInfo, Protocol):
    """`sensor_msgs/CameraInfo`."""


class OfTwoViews(Stamped, Protocol):
    """A message about a current view, that of its header, and a reference view."""

    reference_header: Header


class Correspondences(OfTwoViews, Protocol):
    """`msga_ros/Correspondences`."""

    pairing: int
    width: int
    height: int
    reference_k: ArrayLike
    k: ArrayLike
    rectified: bool
    reference_points: ArrayLike
    points: ArrayLike
    inlier_probability: ArrayLike
    inlier: ArrayLike
    track_ids: ArrayLike


class Vector3(Protocol):
    """`geometry_msgs/Vector3`."""

    x: float
    y: float
    z: float


class Quaternion(Vector3, Protocol):
    """`geometry_msgs/Quaternion`."""

    w: float


class Transform(Protocol):
    """`geometry_msgs/Transform`."""

    translation: Vector3
    rotation: Quaternion


class RelativePose(OfTwoViews, Protocol):
    """`msga_ros/RelativePose`."""

    status: int
    transform: Transform
    translation_scale_known: bool
    covariance: ArrayLike
