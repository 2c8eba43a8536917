"""Messages of one instant to a view of the map: decoded, checked, and held against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera import Camera, CameraInfo
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.depth import DepthImage
from msga_ros.loops.reports import RightView, View
from msga_ros.stream.cv_bridge_fallback import ImageBridge
from msga_ros.stream.depth_input import ColourImage, DepthInput
from msga_ros.stream.errors import BadInput
from msga_ros.stream.message_set import DEPTH_INPUT, stamp_ns
from msga_ros.stream.message_types import CompressedImage, Image, Stamped
from msga_ros.stream.node_settings import NodeSettings
from msga_ros.stream.rig_input import read_rig
from msga_ros.stream.stream_odometry import NO_BASELINE
from msga_ros.stream.view_input import image_and_camera

Messages = Mapping[str, Stamped]
RIGHT = "right/"


class ViewReader:
    """`topics`: names of the inputs for what is said of them; `complain(kind, topic, text)` hears
    doubts; `calibrations`: by input, what comes from a file instead. `camera`: what the names of
    the inputs of the (left) camera begin with."""

    def __init__(
        self,
        topics: Mapping[str, str],
        complain: Callable[[str, str, str], None],
        bridge: ImageBridge,
        calibrations: Mapping[str, CameraInfo],
        camera: str = "",
    ) -> None:
        self._topics = topics
        self._bridge = bridge
        self._calibrations = calibrations
        self._depth_input = DepthInput(complain)
        self._camera = camera

    def read(self, messages: Messages, odometry: Pose | None, settings: NodeSettings) -> View:
        """The view of a set: with the right camera or the depth image that came with it.

        `odometry`: odom to camera. Raises `BadInput`.
        """
        image, camera = self._image(messages, self._camera, settings)
        taken = stamp_ns(messages[f"{self._camera}image"])
        name = f"{taken // 10**9}.{taken % 10**9:09d}"
        depth = self._depth(messages, image, settings)
        right = self._right(messages, settings) if f"{RIGHT}image" in messages else None
        return View(name, taken * 1e-9, image, camera, odometry, depth, right)

    def _image(
        self, messages: Messages, side: str, settings: NodeSettings
    ) -> tuple[NDArray[np.uint8], Camera]:
        return image_and_camera(
            cast("Image | CompressedImage", messages[f"{side}image"]),
            self._info(messages, side),
            settings["rectified"],
            settings["max_image_pixels"],
            self._bridge,
            self._topics[f"{side}image"],
            self._topics[f"{side}camera_info"],
        )

    def _info(self, messages: Messages, side: str) -> CameraInfo:
        name = f"{side}camera_info"
        return cast("CameraInfo", messages.get(name) or self._calibrations[name])

    def _right(self, messages: Messages, settings: NodeSettings) -> RightView:
        image, camera = self._image(messages, RIGHT, settings)
        infos = self._info(messages, self._camera), self._info(messages, RIGHT)
        topic = self._topics[f"{RIGHT}camera_info"]
        rig = read_rig(*infos, settings["rectified"], topic)
        if rig is None:
            raise BadInput("camera_info", NO_BASELINE, topic)
        return RightView(image, camera, Pose(rig.rotation, rig.translation))

    def _depth(
        self, messages: Messages, image: NDArray[np.uint8], settings: NodeSettings
    ) -> DepthImage | None:
        """The depth image of a set, None where none is used."""
        if DEPTH_INPUT not in messages:
            return None
        name = f"{self._camera}image"
        size = (image.shape[1], image.shape[0])
        colour = ColourImage(self._topics[name], messages[name].header, size)
        message = cast("Image | CompressedImage", messages[DEPTH_INPUT])
        return self._depth_input.read(message, self._topics[DEPTH_INPUT], colour, settings)
