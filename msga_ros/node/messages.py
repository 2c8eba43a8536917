"""`Outcome` and `OdometryResult` to messages; directions as in the .msg files.

What they say is in `stream/message_fields.py` and `stream/odometry_fields.py`; here it becomes ROS
messages.
"""

from __future__ import annotations

import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseStamped,
    Quaternion,
    Transform,
    TransformStamped,
    Twist,
    Vector3,
)
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from std_msgs.msg import Header

from msga_ros.geometry.pose import invert_pose
from msga_ros.msg import Correspondences, RelativePose
from msga_ros.stream.message_fields import (
    Fields,
    correspondences_fields,
    quaternion,
    relative_pose_fields,
)
from msga_ros.stream.odometry_fields import motion_fields
from msga_ros.stream.processor import Outcome
from msga_ros.stream.stream_odometry import OdometryResult

Array = NDArray[np.float64]


def correspondences_message(outcome: Outcome) -> Correspondences:
    """All putative matches of the two views, inliers and outliers, in the pipeline's order."""
    fields = correspondences_fields(outcome)
    for name, typecode in (
        ("reference_points", "f"),
        ("points", "f"),
        ("inlier_probability", "f"),
        ("track_ids", "Q"),
    ):
        fields[name] = _unchecked(typecode, fields[name])
    fields["inlier"] = fields["inlier"].tolist()
    return Correspondences(**fields)


def relative_pose_message(outcome: Outcome) -> RelativePose:
    """The pose of the current view in the reference frame; see `relative_pose_fields`."""
    return _relative_pose(relative_pose_fields(outcome))


def temporal_pose_message(result: OdometryResult) -> RelativePose:
    """The motion of the left camera since the keyframe; see `motion_fields`."""
    return _relative_pose(motion_fields(result))


def odometry_message(fields: Fields, stamp: Time, frame: str) -> Odometry:
    """The pose of camera or robot in `frame`, and its velocity; see `odometry_fields`."""
    message = Odometry(child_frame_id=fields["child_frame_id"])
    message.header = Header(stamp=stamp, frame_id=frame)
    message.pose.pose = _pose(fields)
    message.pose.covariance = fields["covariance"]
    message.twist.twist = Twist(
        linear=_vector(fields["linear"]), angular=_vector(fields["angular"])
    )
    message.twist.covariance = fields["twist_covariance"]
    return message


def pose_message(fields: Fields, stamp: Time, frame: str) -> PoseStamped:
    """The same, as a part of a path."""
    return PoseStamped(header=Header(stamp=stamp, frame_id=frame), pose=_pose(fields))


def odometry_transform(fields: Fields, stamp: Time, frame: str, inverted: bool) -> TransformStamped:
    """The same for tf: from `frame` to the child frame; `inverted`: the other way round."""
    rotation, position = fields["rotation"], np.asarray(fields["position"])
    ends = [frame, fields["child_frame_id"]]
    if inverted:
        (rotation, position), ends = invert_pose(rotation, position), ends[::-1]
    return TransformStamped(
        header=Header(stamp=stamp, frame_id=ends[0]),
        child_frame_id=ends[1],
        transform=transform_message(rotation, position),
    )


def transform_message(rotation: Array, translation: Array) -> Transform:
    """A `geometry_msgs/Transform` of `rotation` (3, 3) and `translation` (3,), which becomes zero
    where it is not known (NaN)."""
    return _transform(quaternion(rotation), np.nan_to_num(np.asarray(translation, np.float64)))


def _transform(rotation: tuple[float, float, float, float], translation: Array) -> Transform:
    x, y, z, w = rotation
    return Transform(translation=_vector(translation), rotation=Quaternion(x=x, y=y, z=z, w=w))


def _vector(values: Sequence[float] | Array) -> Vector3:
    return Vector3(x=float(values[0]), y=float(values[1]), z=float(values[2]))


def _pose(fields: Fields) -> Pose:
    x, y, z = fields["position"]
    qx, qy, qz, qw = fields["orientation"]
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def _relative_pose(fields: Fields) -> RelativePose:
    transform = _transform(fields.pop("rotation"), fields.pop("translation"))
    return RelativePose(transform=transform, **fields)


def _unchecked(typecode: str, values: NDArray[np.generic]) -> array.array[Any]:
    """An `array.array`, which the setters of ROS messages take without looking at each element."""
    flat = array.array(typecode)
    flat.frombytes(values.tobytes())
    return flat
