"""A complete set of messages of one instant, whatever brought them: DDS or a bag."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from msga_ros.stream.message_types import CompressedImage, Header, Image, Stamped, StampedCameraInfo

STEREO_INPUTS = ("left/image", "left/camera_info", "right/image", "right/camera_info")
TEMPORAL_INPUTS = ("image", "camera_info")
DEPTH_INPUT = "depth/image"
RGBD_INPUTS = (*TEMPORAL_INPUTS, DEPTH_INPUT)
RIGHT_INPUTS = ("right/image", "right/camera_info")
INPUTS = {"stereo": STEREO_INPUTS, "temporal": TEMPORAL_INPUTS, "rgbd": RGBD_INPUTS}  # by mode


@dataclass(frozen=True)
class MessageSet:
    """A complete set of messages by input name, when it was complete, and in which epoch."""

    messages: Mapping[str, Stamped]
    arrived: float = field(default_factory=time.monotonic)
    epoch: int = 0

    def image(self, prefix: str) -> Image | CompressedImage:
        """The image of the camera whose inputs begin with `prefix`: "left/", "right/" or "";
        or the depth image: "depth/"."""
        return cast("Image | CompressedImage", self.messages[prefix + "image"])

    def camera_info(self, prefix: str) -> StampedCameraInfo:
        """The calibration of that camera."""
        return cast("StampedCameraInfo", self.messages[prefix + "camera_info"])


def stamp_ns(message: Stamped) -> int:
    """Nanoseconds of the stamp of a message with a header."""
    return header_ns(message.header)


def header_ns(header: Header) -> int:
    """Nanoseconds of the stamp of a header."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
