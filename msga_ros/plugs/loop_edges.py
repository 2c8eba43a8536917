"""`LoopEdge` as an edge of a pose graph, and as a link of RTAB-Map (docs/plugs/loops.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msga_ros.geometry.rotations import quaternion
from msga_ros.plugs.matches import PlugError
from msga_ros.plugs.pose_graph import Edge, edge_between, pose_of
from msga_ros.stream.message_set import header_ns
from msga_ros.stream.message_types import OfTwoViews, Quaternion, Vector3

Array = NDArray[np.float64]

ACCEPTED, TAKEN_BACK = 0, 1
USER_CLOSURE = 4  # kUserClosure of RTAB-Map's Link.h
_STATUS_OK, _SCALE_UNKNOWN = 0, 0


class Pose(Protocol):
    """`geometry_msgs/Pose`."""

    position: Vector3
    orientation: Quaternion


class PoseWithCovariance(Protocol):
    """`geometry_msgs/PoseWithCovariance`."""

    pose: Pose
    covariance: ArrayLike


class LoopEdge(OfTwoViews, Protocol):
    """`msga_ros/LoopEdge`."""

    action: int
    current: int
    reference: int
    status: int
    scale: int
    pose: PoseWithCovariance
    base_frame: str
    base_pose: PoseWithCovariance


@dataclass(frozen=True)
class RtabmapLink:
    """The fields of `rtabmap_msgs/Link`: `x_from = R x_to + t`, metres; `information` (36,) of x,
    y, z, rotation vector, in the axes of the *to* pose."""

    from_id: int
    to_id: int
    type: int
    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]
    information: tuple[float, ...]


def edge_from_loop(message: LoopEdge, of_robot: bool = True) -> Edge | None:
    """The edge between the poses of the robot (`base_frame`) or, if not `of_robot`, of the camera.

    From the reference keyframe to the current one, in metres. None where the message has none: the
    length is unknown, the camera stood still (status DEGENERATE), or its place on the robot is not
    known. Raises `PlugError` for an edge that was taken back: remove it instead; and for numbers
    that are no pose.
    """
    if message.action != ACCEPTED:
        ends = f"{message.reference} and {message.current}"
        raise PlugError(f"the loop between the keyframes {ends} was taken back: remove its edge")
    if message.status != _STATUS_OK or message.scale == _SCALE_UNKNOWN:
        return None
    if of_robot and not message.base_frame:
        return None
    given = message.base_pose if of_robot else message.pose
    covariance: Array = np.array(given.covariance, np.float64).reshape(6, 6)
    at, turn = given.pose.position, given.pose.orientation
    rotation, translation = pose_of("LoopEdge", turn, at, covariance)
    stamps = header_ns(message.reference_header), header_ns(message.header)
    nothing: Array = np.zeros((6, 0))
    return edge_between(*stamps, rotation, translation, covariance, nothing, True)


def rtabmap_link(
    message: LoopEdge, nodes: Mapping[int, int], slop: float = 0.05
) -> RtabmapLink | None:
    """A link for RTAB-Map's service `add_link`, of the robot's poses.

    `nodes`: the stamp (ns) of each node of RTAB-Map's map, by its id, which are positive. A node
    belongs to a keyframe when it is not farther than `slop` seconds from it. None where a keyframe
    has no node, both have the same, or `edge_from_loop` has no edge; `PlugError` as there.
    """
    edge = edge_from_loop(message)
    if edge is None:
        return None
    ends = [_nearest(nodes, stamp, slop) for stamp in (edge.from_ns, edge.to_ns)]
    if None in ends or ends[0] == ends[1]:
        return None
    x, y, z = edge.translation.tolist()
    information = tuple(edge.information.ravel().tolist())
    return RtabmapLink(
        int(ends[0] or 0),
        int(ends[1] or 0),
        USER_CLOSURE,
        (x, y, z),
        quaternion(edge.rotation),
        information,
    )


def _nearest(nodes: Mapping[int, int], stamp: int, slop: float) -> int | None:
    """The id of the node nearest in time."""
    if not nodes:
        return None
    found = min(nodes, key=lambda one: abs(nodes[one] - stamp))
    return found if abs(nodes[found] - stamp) <= slop * 1e9 else None
