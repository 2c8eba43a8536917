"""The depth image of a set: decoded, checked, and held against its colour image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.foreign_text import shown
from msga_ros.geometry.depth import DepthImage, to_metres
from msga_ros.stream.calibration_check import SaidOnce
from msga_ros.stream.compressed_depth import decode_compressed_depth
from msga_ros.stream.cv_bridge_fallback import CvBridge
from msga_ros.stream.errors import BadInput
from msga_ros.stream.image_conversion import check_image
from msga_ros.stream.message_types import CompressedImage, Header, Image
from msga_ros.stream.node_settings import NodeSettings

INTEGERS = ("16UC1", "mono16")  # multiples of `depth.unit`
METRES = "32FC1"

_FARTHEST = 200.0  # m; where half of the pixels lie beyond, the unit is another one
_BRIDGE = CvBridge()


def depth_from_message(
    message: Image | CompressedImage, unit: float, max_pixels: int
) -> DepthImage:
    """Depth (H, W) in metres, NaN for none, of a `sensor_msgs/Image` or of `compressedDepth`.

    `unit`: metres, of integers alone (REP 118 has millimetres). Raises `BadInput`.
    """
    pixels: NDArray[np.generic]
    if hasattr(message, "format"):
        pixels = decode_compressed_depth(message.data, message.format, max_pixels)
    else:
        if message.encoding not in (*INTEGERS, METRES):
            found = shown(message.encoding)
            raise BadInput("encoding", f"{found!r}: a depth image is {INTEGERS[0]} or {METRES}")
        check_image(message, max_pixels)
        pixels = _BRIDGE.imgmsg_to_cv2(message, "passthrough")
    return to_metres(pixels, unit)


@dataclass(frozen=True)
class ColourImage:
    """What a depth image has to agree with; `size` is (width, height)."""

    topic: str
    header: Header
    size: tuple[int, int]


class DepthInput:
    """Reads the depth image that belongs to a colour image; what is doubtful is said once.

    `complain(kind, topic, text)` gets the doubts, and the kind `no_depth` where no pixel has one.
    """

    def __init__(self, complain: Callable[[str, str, str], None]) -> None:
        self._complain = complain
        self._doubts = SaidOnce(complain)

    def read(
        self,
        message: Image | CompressedImage,
        topic: str,
        colour: ColourImage,
        settings: NodeSettings,
    ) -> DepthImage:
        """The depth image of `message`, which came on `topic`, in metres. Raises `BadInput`."""
        unit, limit = settings["depth.unit"], settings["max_image_pixels"]
        try:
            depth = depth_from_message(message, unit, limit)
        except BadInput as error:
            raise error.on(topic) from None
        size = depth.shape[1], depth.shape[0]
        if size != colour.size:
            raise BadInput(
                "image_size",
                f"the depth image is {size[0]}x{size[1]}, the colour image on {colour.topic} "
                f"{colour.size[0]}x{colour.size[1]}: it is not registered to it "
                "(depth_image_proc/register, or the driver's aligned depth)",
                topic,
            )
        known = np.isfinite(depth)
        if not known.any():
            self._complain("no_depth", topic, "no pixel of the depth image has a depth")
        self._doubts.say(topic, self._doubts_about(depth[known], message.header, colour))
        return depth

    @staticmethod
    def _doubts_about(known: NDArray[np.float32], header: Header, colour: ColourImage) -> list[str]:
        doubts = []
        if header.frame_id != colour.header.frame_id:
            doubts.append(
                f"the depth image is in the frame {shown(header.frame_id)!r}, the colour image in "
                f"{shown(colour.header.frame_id)!r}: is it registered to the colour image?"
            )
        if len(known) and float(np.median(known)) > _FARTHEST:
            doubts.append(
                f"half of the depths are beyond {_FARTHEST:.0f} m: {METRES} is in metres, "
                f"{INTEGERS[0]} in multiples of depth.unit (0.001 m)"
            )
        return doubts
