"""One image message and its `camera_info`: decoded, checked, and held against each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera import Camera, CameraError, CameraInfo
from msga_ros.stream.calibration_check import binning_text
from msga_ros.stream.cv_bridge_fallback import ImageBridge
from msga_ros.stream.errors import BadInput
from msga_ros.stream.image_conversion import image_from_message
from msga_ros.stream.message_types import CompressedImage, Image


def camera_from_message(info: CameraInfo, rectified: bool, topic: str) -> Camera:
    """The camera of a `sensor_msgs/CameraInfo`. Raises `BadInput` about `topic`."""
    try:
        return Camera.from_camera_info(info, rectified)
    except CameraError as error:
        raise BadInput("camera_info", str(error), topic) from None


def image_and_camera(
    message: Image | CompressedImage,
    info: CameraInfo,
    rectified: bool,
    max_pixels: int,
    bridge: ImageBridge,
    image_topic: str,
    info_topic: str,
) -> tuple[NDArray[np.uint8], Camera]:
    """Pixels (H, W[, 3]) uint8 and the camera that belongs to them. Raises `BadInput`.

    `message`: `sensor_msgs/Image` or `CompressedImage`; the topics are for what is said of them.
    """
    camera = camera_from_message(info, rectified, info_topic)
    try:
        image = image_from_message(message, bridge, max_pixels)
    except BadInput as error:
        raise error.on(image_topic) from None
    height, width = image.shape[:2]
    # Binning may round the size either way.
    off = max(abs(camera.width - width), abs(camera.height - height))
    if camera.width and camera.height and off > 1:
        raise BadInput(
            "image_size",
            f"the image is {width}x{height}, its camera_info says "
            f"{camera.width}x{camera.height}{binning_text(info)}",
            image_topic,
        )
    return image, camera
