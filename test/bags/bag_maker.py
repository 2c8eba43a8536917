"""Small bags made from real photographs, and a pipeline that is quick on them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from msga_ros.geometry.camera import Camera
from msga_ros.network import MSGANet, packaged_weights
from msga_ros.two_view.pipeline import TwoViewPipeline

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
START_NS = 1_700_000_000_000_000_000
TF_MESSAGE = "tf2_msgs/msg/TFMessage"
PLUGINS = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
# Few features, and plumbing that does not depend on how good the weights are.
QUICK = {
    "frontend.name": "orb",
    "frontend.max_keypoints": 400,
    "pose.refine": "poselib",
    "pose.threshold_px": 2.0,
    "network.inlier_threshold": 0.01,
    "rectified": True,
    "network.device": "cpu",
}
Item = tuple[str, str, int, Any]  # topic, type, time in the bag (ns), message


class Drive:
    """A rectified stereo sequence at half size."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        document = json.loads((folder / "scene.json").read_text())
        self._images = {(one["frame"], one["cam"]): one for one in document["images"]}
        left, right = self._images[0, "left"], self._images[0, "right"]
        self.baseline = float(np.linalg.norm(np.subtract(right["t"], left["t"])))

    def stamp(self, frame: int) -> int:
        return START_NS + round(self._images[frame, "left"]["timestamp"] * 1e9)

    def pixels(self, frame: int, cam: str) -> np.ndarray:
        """(H, W) uint8."""
        path = self._folder / "images" / self._images[frame, cam]["file"]
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)

    def camera(self, frame: int, cam: str) -> Camera:
        one = self._images[frame, cam]
        return Camera(np.array(one["K"]), width=one["width"], height=one["height"]).scaled(0.5)

    def true_motion(self, frame0: int, frame1: int) -> tuple[np.ndarray, np.ndarray]:
        """Pose of the left camera at `frame1` in that at `frame0`."""
        poses = [self._images[frame, "left"] for frame in (frame0, frame1)]
        (r0, t0), (r1, t1) = [(np.array(one["R"]), np.array(one["t"])) for one in poses]
        turn = r0 @ r1.T
        return turn, t0 - turn @ t1

    def view(
        self, frame: int, cam: str, prefix: str, stamp: int | None = None, compressed: bool = False
    ) -> list[Item]:
        """Image and camera_info below `prefix`."""
        stamp = self.stamp(frame) if stamp is None else stamp
        header = make_header(stamp, f"{cam}_optical")
        pixels = self.pixels(frame, cam)
        camera = self.camera(frame, cam)
        baseline = self.baseline if cam == "right" else 0.0
        if compressed:
            image = compressed_message(pixels, header)
        else:
            image = image_message(pixels, header)
        info = info_message(camera, header, pixels.shape, baseline)
        topic = f"{prefix}/image" + ("/compressed" if compressed else "")
        return [
            (topic, image.__msgtype__, stamp + 1000, image),
            (f"{prefix}/camera_info", info.__msgtype__, stamp + 2000, info),
        ]

    def stereo(self, frames: Iterable[int], compressed: bool = False) -> list[Item]:
        items: list[Item] = []
        for frame in frames:
            items += self.view(frame, "left", "/left", compressed=compressed)
            items += self.view(frame, "right", "/right", compressed=compressed)
        return items

    def mono(self, frames: Iterable[int]) -> list[Item]:
        return [item for frame in frames for item in self.view(frame, "left", "")]


def make_header(stamp: int, frame_id: str) -> Any:
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    time = TYPES["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return TYPES["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def image_message(pixels: np.ndarray, header: Any) -> Any:
    height, width = pixels.shape
    return TYPES["sensor_msgs/msg/Image"](
        header=header, height=height, width=width, encoding="mono8", is_bigendian=0, step=width,
        data=pixels.ravel(),
    )  # fmt: skip


def compressed_message(pixels: np.ndarray, header: Any) -> Any:
    data = cv2.imencode(".png", pixels)[1].ravel()
    return TYPES["sensor_msgs/msg/CompressedImage"](header=header, format="png", data=data)


def info_message(camera: Camera, header: Any, shape: tuple[int, ...], baseline: float) -> Any:
    p = np.hstack([camera.k, [[-camera.k[0, 0] * baseline], [0.0], [0.0]]])
    roi = TYPES["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return TYPES["sensor_msgs/msg/CameraInfo"](
        header=header, height=shape[0], width=shape[1], distortion_model="plumb_bob",
        d=np.zeros(5), k=camera.k.ravel(), r=np.eye(3).ravel(), p=p.ravel(),
        binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip


def write(path: Path, items: Sequence[Item], storage: str = "mcap") -> Path:
    """A bag of `items`."""
    with Writer(path, version=8, storage_plugin=PLUGINS[storage]) as writer:
        connections = {}
        for topic, kind, time_ns, message in items:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            data = message if isinstance(message, bytes) else STORE.serialize_cdr(message, kind)
            writer.write(connections[topic], time_ns, data)
    return path


def write_ros1(path: Path, items: Sequence[Item], compression: str = "") -> Path:
    """A ROS 1 bag of `items`; `compression`: bz2, lz4 or none."""
    store = get_typestore(Stores.ROS1_NOETIC)
    store.register({TF_MESSAGE: STORE.fielddefs[TF_MESSAGE]})  # which rosbags has of ROS 2 alone
    writer = Ros1Writer(path)
    if compression:
        writer.set_compression(Ros1Writer.CompressionFormat[compression.upper()])
    with writer:
        connections = {}
        for topic, kind, time_ns, message in items:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            data = message
            if not isinstance(message, bytes):
                data = STORE.cdr_to_ros1(STORE.serialize_cdr(message, kind), kind)
            writer.write(connections[topic], time_ns, data)
    return path


def load_pipeline(settings: Any) -> TwoViewPipeline:
    return TwoViewPipeline(settings.pipeline, MSGANet.load(packaged_weights()))
