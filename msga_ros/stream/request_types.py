"""What is read of the messages of requests, whoever made them; fields as in the .msg files."""

from __future__ import annotations

from typing import Protocol

from numpy.typing import ArrayLike

from msga_ros.geometry.camera import CameraInfo
from msga_ros.stream.message_types import CompressedImage, Header, Image


class CameraImage(Protocol):
    """`msga_ros/CameraImage`."""

    image: Image
    compressed_image: CompressedImage
    camera_info: CameraInfo


class ImagePair(Protocol):
    """`msga_ros/ImagePair`."""

    reference: CameraImage
    current: CameraImage
    rectified: bool
    stereo: bool


class FeaturesMessage(Protocol):
    """`msga_ros/Features`."""

    header: Header
    camera_info: CameraInfo
    keypoints: ArrayLike
    descriptors: ArrayLike
    binary_descriptors: ArrayLike
    scores: ArrayLike
    angles: ArrayLike
    sizes: ArrayLike


class FeaturePair(Protocol):
    """`msga_ros/FeaturePair`."""

    reference: FeaturesMessage
    current: FeaturesMessage
    rectified: bool
    stereo: bool


class MatchesMessage(Protocol):
    """`msga_ros/Matches`."""

    header: Header
    reference_header: Header
    camera_info: CameraInfo
    reference_camera_info: CameraInfo
    rectified: bool
    stereo: bool
    reference_points: ArrayLike
    points: ArrayLike
    ratio: ArrayLike
    mutual: ArrayLike
    rotation: ArrayLike
    log_scale: ArrayLike
    distance: ArrayLike
    confidence: ArrayLike
    track_ids: ArrayLike
