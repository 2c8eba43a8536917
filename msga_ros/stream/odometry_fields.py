"""The fields of messages about an `OdometryResult`, as plain values.

The node puts them into ROS messages (`messages.py`), `msga_ros.bags` writes them into bags.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.pose import essential_matrix, invert_pose
from msga_ros.geometry.rotations import quaternion
from msga_ros.odometry.mount import Mount
from msga_ros.odometry.poses import UncertainPose
from msga_ros.odometry.twist import Twist
from msga_ros.stream.message_fields import STATUS_OK, STATUS_TOO_FEW_MATCHES, Fields
from msga_ros.stream.stream_odometry import OdometryResult

Array = NDArray[np.float64]

# No pose in a message is surer than a millimetre and a hundredth of a degree: the first one, exact
# by its definition, would have a covariance of zeros, which filters cannot invert.
_RESOLUTION = np.diag(np.repeat([0.001**2, np.radians(0.01) ** 2], 3))


def odometry_fields(result: OdometryResult, mount: Mount | None = None) -> Fields:
    """Of `nav_msgs/Odometry`: `child_frame_id`, pose, twist, and both covariances.

    `position` (3,) m and `orientation` x, y, z, w: the pose of the left optical frame
    (`child_frame_id`) in the left optical frame of the session's first image; with a `mount`, of
    the frame that the camera is mounted on where that was at the first image. `covariance` (36,):
    x, y, z, rotation about X, Y, Z, along the axes of the frame that the pose is in.

    `linear` (3,) m/s, `angular` (3,) rad/s: mean velocity since the last image whose motion was
    found, along the axes of `child_frame_id`, as is `twist_covariance` (36,). Where nothing is
    known (the first image) zero, with standard deviations that no robot exceeds.
    """
    pose, motion = result.update.pose, result.update.motion
    assert pose is not None
    if mount is not None:
        pose = mount.of_body(pose)
        motion = None if motion is None else mount.of_body(motion)
    twist = Twist.unknown()
    if motion is not None:
        twist = Twist.between(motion, result.update.motion_seconds)
    return {
        "child_frame_id": result.header.frame_id if mount is None else mount.frame,
        "rotation": pose.rotation,
        "position": tuple(pose.position.tolist()),
        "orientation": quaternion(pose.rotation),
        "covariance": (pose.covariance + _RESOLUTION).ravel(),
        "linear": tuple(twist.linear.tolist()),
        "angular": tuple(twist.angular.tolist()),
        "twist_covariance": twist.covariance.ravel(),
    }


def motion_fields(result: OdometryResult) -> Fields:
    """Of `RelativePose`, from the keyframe to the newest (left) image, in metres.

    As `message_fields.relative_pose_fields`. Where no motion was found the status is
    TOO_FEW_MATCHES, and only both headers are set; where its length was guessed (RESCALED), the
    translation is a direction. Raises `ValueError` for the first frame of a session, which has no
    reference.
    """
    update, reference = result.update, result.reference_header
    if reference is None:
        raise ValueError("no motion from one frame to another")
    relative = update.relative
    known = relative is not None
    motion = relative if relative is not None else UncertainPose.origin()
    parallax = _median_parallax(update.points[update.inlier], motion)
    if known and not update.scale_known:
        motion = motion.direction()
    covariance = motion.covariance.copy()
    if not known:
        covariance[0, 0] = -1.0
    matched, inliers = len(update.inlier), int(update.inlier.sum())
    essential = essential_matrix(*invert_pose(motion.rotation, motion.position))
    return {
        "header": result.header,
        "reference_header": reference,
        "status": STATUS_OK if known else STATUS_TOO_FEW_MATCHES,
        "translation": motion.position,
        "rotation": quaternion(motion.rotation),
        "translation_scale_known": known and update.scale_known,
        "covariance": covariance.ravel(),
        "essential": essential.ravel(),
        "inliers": inliers,
        "inlier_ratio": inliers / matched if matched else 0.0,
        "median_parallax": parallax,
    }


def _median_parallax(points: Array, motion: UncertainPose) -> float:
    """Of points (N, 3) in the current camera, rad; 0 without any."""
    from_reference = points + motion.rotation.T @ motion.position
    across = np.linalg.norm(np.cross(points, from_reference), axis=1)
    angles = np.arctan2(across, (points * from_reference).sum(axis=1))
    known = angles[np.isfinite(angles)]
    return float(np.median(known)) if len(known) else 0.0
