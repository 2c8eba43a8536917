"""The fields of messages about loops and the map, as plain values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.pose import invert_pose
from msga_ros.geometry.rotations import quaternion, quaternions
from msga_ros.loops.reports import LoopEdge, MapPose, ScaleSource
from msga_ros.odometry.mount import Mount
from msga_ros.odometry.poses import UncertainPose
from msga_ros.stream.message_fields import Fields
from msga_ros.two_view.result import Status

Array = NDArray[np.float64]

ACCEPTED, TAKEN_BACK = 0, 1
SCALES = {ScaleSource.NONE: 0, ScaleSource.ODOMETRY: 1, ScaleSource.DEPTH: 2}
NO_KEYFRAME = 2**32 - 1  # in the place of the number of a keyframe


def edge_fields(edge: LoopEdge, mount: Mount | None, action: int = ACCEPTED) -> Fields:
    """Of `LoopEdge`, but for the headers: numbers, pose, and the same of the robot.

    `pose` and `base_pose` as (position (3,), quaternion x y z w, covariance (36,)).
    """
    base = None
    if mount is not None and edge.metric and edge.status is Status.OK:
        base = mount.of_body(edge.pose)
    return {
        "action": action,
        "current": NO_KEYFRAME if edge.current < 0 else edge.current,
        "reference": edge.reference,
        "status": int(edge.status),
        "scale": SCALES[edge.scale],
        "pose": pose_fields(edge.pose),
        "base_frame": "" if base is None or mount is None else mount.frame,
        "base_pose": pose_fields(UncertainPose.origin() if base is None else base),
        "inliers": edge.inliers,
        "similarity": float(edge.similarity),
        "support": edge.support,
    }


def pose_fields(pose: UncertainPose) -> tuple[Array, tuple[float, float, float, float], Array]:
    """Position (3,), quaternion x y z w, covariance (36,)."""
    return pose.position, quaternion(pose.rotation), pose.covariance.ravel()


def in_map(poses: Sequence[Pose], mount: Mount | None) -> tuple[Array, Array]:
    """Quaternions (N, 4) and positions (N, 3) in the map of the robot or, without a `mount`, of the
    camera; `poses`: map to camera."""
    if not poses:
        return np.empty((0, 4)), np.empty((0, 3))
    rotations = np.array([one.rotation for one in poses])
    shifts = np.array([one.translation for one in poses])
    if mount is not None:  # camera to base after map to camera
        rotations, shifts = mount.rotation @ rotations, shifts @ mount.rotation.T + mount.position
    back = rotations.transpose(0, 2, 1)
    return quaternions(back), -np.einsum("nij,nj->ni", back, shifts)


def located_pose(edge: LoopEdge, keyframes: list[MapPose]) -> UncertainPose | None:
    """The pose of the camera of an image in the map, by its edge to a keyframe that is taken as
    exact; None where the keyframe has no pose or the edge no length."""
    known = next((one.pose for one in keyframes if one.number == edge.reference), None)
    if known is None or not edge.metric:
        return None
    certain = UncertainPose.exact(*invert_pose(known.rotation, known.translation))
    return certain.compose(edge.pose)
