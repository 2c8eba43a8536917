"""Poses of the robot from messages: `nav_msgs/Odometry`, or a transform of `/tf`."""

from __future__ import annotations

from typing import Any

import numpy as np

from msga_ros.geometry.rotations import rotation_from_quaternion
from msga_ros.stream.errors import BadInput
from msga_ros.stream.loops.odometry_buffer import OdometryPose
from msga_ros.stream.message_set import header_ns

_LONGEST = 200  # characters of a name


def pose_of_odometry(message: Any, base_frame: str = "") -> OdometryPose:
    """Of a `nav_msgs/Odometry`. `base_frame`: what moves where the message does not say so.

    Raises `BadInput` of the kind `odometry`, as `pose_of_transform`.
    """
    child = message.child_frame_id
    if child in ("", message.header.frame_id):  # no frame moves in itself
        child = base_frame
    pose = message.pose.pose
    return _pose(message.header, child, pose.position, pose.orientation)


def pose_of_transform(message: Any) -> OdometryPose:
    """Of a `geometry_msgs/TransformStamped`."""
    transform = message.transform
    return _pose(message.header, message.child_frame_id, transform.translation, transform.rotation)


def ends_of_transform(message: Any) -> tuple[str, str]:
    """Parent and child of a `geometry_msgs/TransformStamped`, as tf2 has them."""
    return _frame(message.header.frame_id), _frame(message.child_frame_id)


def _pose(header: Any, child: str, at: Any, turn: Any) -> OdometryPose:
    """`at`: a point or vector, `turn`: a quaternion of a message."""
    position = np.array([at.x, at.y, at.z])
    quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
    if not (np.isfinite(position).all() and np.isfinite(quaternion).all()):
        raise BadInput("odometry", "a pose of the odometry holds NaN or infinity")
    if abs(np.linalg.norm(quaternion) - 1.0) > 0.01:
        text = f"the quaternion {quaternion.tolist()} of the odometry is no rotation"
        raise BadInput("odometry", text)
    rotation = rotation_from_quaternion(quaternion)
    frames = _frame(header.frame_id), _frame(child)
    return OdometryPose(header_ns(header), rotation, position, *frames)


def _frame(name: str) -> str:
    return name[:_LONGEST].lstrip("/")
