"""What a run writes about each outcome: serialised messages, and finally the bag."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from msga_ros.bags.errors import BagError
from msga_ros.bags.journal import Message
from msga_ros.bags.types import (
    COMPRESSED_IMAGE,
    CORRESPONDENCES,
    IMAGE,
    ODOMETRY,
    RELATIVE_POSE,
    typestore,
)
from msga_ros.odometry.mount import Mount
from msga_ros.stream.message_fields import Fields, correspondences_fields, relative_pose_fields
from msga_ros.stream.odometry_fields import motion_fields, odometry_fields
from msga_ros.stream.processor import Outcome
from msga_ros.stream.stream_odometry import OdometryResult
from msga_ros.two_view.drawing import draw_matches

PICTURES = ("none", "raw", "jpeg")
STORAGES = ("mcap", "sqlite3")


@dataclass(frozen=True)
class OutputOptions:
    """`namespace`: of the topics. `picture`: of the matches, one of `PICTURES`."""

    namespace: str = "/msga"
    picture: str = "none"
    max_lines: int = 500

    @property
    def topics(self) -> dict[str, str]:
        """Topic to type."""
        topics = {
            f"{self.namespace}/correspondences": CORRESPONDENCES,
            f"{self.namespace}/relative_pose": RELATIVE_POSE,
        }
        if self.picture == "raw":
            topics[f"{self.namespace}/matches_image"] = IMAGE
        elif self.picture == "jpeg":
            topics[f"{self.namespace}/matches_image/compressed"] = COMPRESSED_IMAGE
        return topics

    @property
    def motion_topics(self) -> dict[str, str]:
        """Topic to type, where there is odometry in metres."""
        return {
            f"{self.namespace}/odometry": ODOMETRY,
            f"{self.namespace}/temporal_pose": RELATIVE_POSE,
        }


def odometry(
    result: OdometryResult,
    time_ns: int,
    options: OutputOptions,
    frame: str,
    mount: Mount | None = None,
) -> Message:
    """`nav_msgs/Odometry` in `frame`, of the left camera or of what it is mounted on.

    See `odometry_fields.odometry_fields`.
    """
    types, fields = typestore().types, odometry_fields(result, mount)
    px, py, pz = fields["position"]
    x, y, z, w = fields["orientation"]
    linear, angular = (
        types["geometry_msgs/msg/Vector3"](*fields[name]) for name in ("linear", "angular")
    )
    message = types[ODOMETRY](
        header=types["std_msgs/msg/Header"](stamp=result.header.stamp, frame_id=frame),
        child_frame_id=fields["child_frame_id"],
        pose=types["geometry_msgs/msg/PoseWithCovariance"](
            pose=types["geometry_msgs/msg/Pose"](
                position=types["geometry_msgs/msg/Point"](x=px, y=py, z=pz),
                orientation=types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w),
            ),
            covariance=fields["covariance"],
        ),
        twist=types["geometry_msgs/msg/TwistWithCovariance"](
            twist=types["geometry_msgs/msg/Twist"](linear=linear, angular=angular),
            covariance=fields["twist_covariance"],
        ),
    )
    topic = f"{options.namespace}/odometry"
    return Message(topic, time_ns, bytes(typestore().serialize_cdr(message, ODOMETRY)))


def serialised(outcome: Outcome, time_ns: int, options: OutputOptions) -> tuple[Message, ...]:
    """The messages about one outcome."""
    store, messages = typestore(), []
    made: dict[str, Callable[[Outcome], Any]] = {
        CORRESPONDENCES: correspondences,
        RELATIVE_POSE: relative_pose,
        IMAGE: lambda outcome: picture(outcome, options.max_lines),
        COMPRESSED_IMAGE: lambda outcome: picture(outcome, options.max_lines, jpeg=True),
    }
    for topic, kind in options.topics.items():
        data = store.serialize_cdr(made[kind](outcome), kind)
        messages.append(Message(topic, time_ns, bytes(data)))
    return tuple(messages)


def correspondences(outcome: Outcome) -> Any:
    """`msga_ros/Correspondences` as a `rosbags` message."""
    return typestore().types[CORRESPONDENCES](**correspondences_fields(outcome))


def temporal_pose(result: OdometryResult, time_ns: int, options: OutputOptions) -> Message:
    """`msga_ros/RelativePose` from the keyframe to the newest left image, see `motion_fields`."""
    message = _pose_message(motion_fields(result))
    data = bytes(typestore().serialize_cdr(message, RELATIVE_POSE))
    return Message(f"{options.namespace}/temporal_pose", time_ns, data)


def relative_pose(outcome: Outcome) -> Any:
    """`msga_ros/RelativePose` as a `rosbags` message."""
    return _pose_message(relative_pose_fields(outcome))


def _pose_message(fields: Fields) -> Any:
    types = typestore().types
    x, y, z, w = fields.pop("rotation")
    tx, ty, tz = (float(one) for one in fields.pop("translation"))
    fields["transform"] = types["geometry_msgs/msg/Transform"](
        translation=types["geometry_msgs/msg/Vector3"](x=tx, y=ty, z=tz),
        rotation=types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w),
    )
    return types[RELATIVE_POSE](**fields)


def picture(outcome: Outcome, max_lines: int, jpeg: bool = False) -> Any:
    """Both views with their matches, as a `rosbags` Image or CompressedImage."""
    drawn = draw_matches(
        outcome.reference.image, outcome.current.image, outcome.result, max_lines=max_lines
    )
    header = outcome.current.header
    if jpeg:
        data = np.asarray(cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])
        kind = typestore().types[COMPRESSED_IMAGE]
        return kind(header=header, format="bgr8; jpeg compressed bgr8", data=data.ravel())
    height, width = drawn.shape[:2]
    return typestore().types[IMAGE](
        header=header,
        height=height,
        width=width,
        encoding="bgr8",
        is_bigendian=0,
        step=3 * width,
        data=drawn.ravel(),
    )


def write_bag(
    path: Path, storage: str, topics: Mapping[str, str], messages: Iterable[Message]
) -> None:
    """A rosbag2 at `path`, which must not exist. Raises `BagError`."""
    from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

    plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[storage]
    try:
        with Writer(path, version=8, storage_plugin=plugin) as writer:
            connections = {
                topic: writer.add_connection(topic, kind, typestore=typestore())
                for topic, kind in topics.items()
            }
            for one in messages:
                writer.write(connections[one.topic], one.time_ns, one.data)
    except WriterError as error:
        raise BagError(str(error)) from None


def put_in_place(made: Path, wanted: Path) -> None:
    """Move a finished folder to where it was asked for, in the place of what lies there."""
    if wanted.exists():
        shutil.rmtree(wanted)
    os.replace(made, wanted)
