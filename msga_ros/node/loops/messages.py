"""Loops and the map as ROS messages; what they say is in `stream/loops/fields.py`."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseStamped,
    PoseWithCovariance,
    PoseWithCovarianceStamped,
    Quaternion,
    TransformStamped,
)
from nav_msgs.msg import Path
from numpy.typing import NDArray
from std_msgs.msg import Header

from msga_ros.loops.reports import LoopEdge as Edge
from msga_ros.msg import LoopEdge
from msga_ros.node.messages import transform_message
from msga_ros.odometry.mount import Mount
from msga_ros.stream.loops.fields import ACCEPTED, edge_fields, in_map, pose_fields
from msga_ros.stream.loops.session import Located, LoopSession

Fields = tuple[NDArray, tuple[float, float, float, float], NDArray]


def time_message(nanoseconds: int) -> Time:
    """A stamp of so many ns."""
    sec, nanosec = divmod(nanoseconds, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def edge_message(
    edge: Edge, session: LoopSession, camera_frame: str, mount: Mount | None, action: int = ACCEPTED
) -> LoopEdge:
    """A loop between two keyframes."""
    fields = edge_fields(edge, mount, action)
    for name in ("pose", "base_pose"):
        fields[name] = _with_covariance(fields[name])
    reference = session.stamp(edge.reference, edge.reference_stamp)
    current = session.stamp(edge.current, edge.current_stamp)
    return LoopEdge(
        header=Header(stamp=time_message(current), frame_id=camera_frame),
        reference_header=Header(stamp=time_message(reference), frame_id=camera_frame),
        **fields,
    )


def located_message(located: Located, map_frame: str) -> PoseWithCovarianceStamped:
    """The pose of the camera in the map; the origin where it is not known."""
    message = PoseWithCovarianceStamped()
    message.header = Header(stamp=located.header.stamp, frame_id=map_frame)
    if located.pose is not None:
        message.pose = _with_covariance(pose_fields(located.pose))
    return message


def path_message(session: LoopSession, header: Header, mount: Mount | None) -> Path:
    """The keyframes that have a pose, corrected: of the robot or, without a mount, the camera."""
    path = Path(header=header)
    known = [(one, one.pose) for one in session.keyframes() if one.pose is not None]
    turns, positions = in_map([pose for _, pose in known], mount)
    for (one, _), turn, position in zip(known, turns.tolist(), positions, strict=True):
        stamp = time_message(session.stamp(one.number, one.stamp))
        made = PoseStamped(header=Header(stamp=stamp, frame_id=header.frame_id))
        made.pose = _pose(position, turn)
        path.poses.append(made)
    return path


def correction_message(
    rotation: NDArray, position: NDArray, stamp: int, map_frame: str, odometry_frame: str
) -> TransformStamped:
    """The transform from the map to the odometry (REP 105), dated `stamp` (ns)."""
    return TransformStamped(
        header=Header(stamp=time_message(stamp), frame_id=map_frame),
        child_frame_id=odometry_frame,
        transform=transform_message(rotation, position),
    )


def _with_covariance(fields: Fields) -> PoseWithCovariance:
    position, turn, covariance = fields
    return PoseWithCovariance(pose=_pose(position, turn), covariance=covariance)


def _pose(position: NDArray, turn: tuple[float, float, float, float]) -> Pose:
    x, y, z = (float(one) for one in position)
    qx, qy, qz, qw = turn
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
