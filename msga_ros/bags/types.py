"""Message types for reading and writing bags: the common ones, and ours from their .msg files."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from msga_ros.bags.errors import BagError, require_rosbags

CORRESPONDENCES = "msga_ros/msg/Correspondences"
RELATIVE_POSE = "msga_ros/msg/RelativePose"
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
ODOMETRY = "nav_msgs/msg/Odometry"
TF_MESSAGE = "tf2_msgs/msg/TFMessage"
OLD_TF_MESSAGE = "tf/msg/tfMessage"  # of ROS 1, the same by another name


@lru_cache(maxsize=1)
def typestore() -> Any:
    """The types of ROS 2 and of this package, as a `rosbags` typestore.

    `sensor_msgs`, `std_msgs` and `geometry_msgs` are the same in all distributions that we know.
    """
    require_rosbags()
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    store.register({OLD_TF_MESSAGE: store.fielddefs[TF_MESSAGE]})
    for name in (CORRESPONDENCES, RELATIVE_POSE):
        text = message_file(name).read_text(encoding="utf-8")
        store.register(get_types_from_msg(text, name))
    return store


def message_file(name: str) -> Path:
    """The .msg file of one of our types; in the sources, or where an installation put it."""
    short = name.rpartition("/")[2] + ".msg"
    for folder in _folders():
        if (folder / short).is_file():
            return folder / short
    raise BagError(f"{short} was not found: the installation of msga_ros is incomplete")


def _folders() -> Iterator[Path]:
    here = Path(__file__).resolve()
    yield here.parents[2] / "msg"
    prefixes = [*here.parents, Path(sys.prefix), Path(site.getuserbase())]
    prefixes += [Path(one) for one in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if one]
    for prefix in prefixes:
        yield prefix / "share" / "msga_ros" / "msg"
