"""What the messages say of a `OdometryResult`, as plain values.

The node puts them into ROS messages (`messages.py`), `msga_ros.bags` writes them into bags.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.pose import essential_matrix, invert_pose
from msga_ros.geometry.rotations import quaternion
from msga_ros.odometry.poses import UncertainPose
from msga_ros.stream.message_fields import STATUS_OK, STATUS_TOO_FEW_MATCHES, Fields
from msga_ros.stream.stream_odometry import OdometryResult

Array = NDArray[np.float64]


def odometry_fields(located: OdometryResult) -> Fields:
    """Of `nav_msgs/Odometry`: `position` (3,), `orientation` x, y, z, w, both `covariance`s (36,).

    The pose is that of the left optical frame (`child_frame_id`) in the left optical frame of the
    session's first image. No twist is measured: its covariance begins with -1.
    """
    pose = located.update.pose
    assert pose is not None
    unknown = np.zeros(36)
    unknown[0] = -1.0
    return {
        "child_frame_id": located.header.frame_id,
        "position": tuple(pose.position.tolist()),
        "orientation": quaternion(pose.rotation),
        "covariance": pose.covariance.ravel(),
        "twist_covariance": unknown,
    }


def motion_fields(located: OdometryResult) -> Fields:
    """Of `RelativePose`, from the keyframe to the newest left image, in metres.

    As `contents.relative_pose_fields`. Where no motion was found the status is TOO_FEW_MATCHES, and
    nothing is said but both headers. Raises `ValueError` for the first frame of a session, which
    has no reference, and where the scale is not known.
    """
    update, reference = located.update, located.reference_header
    if reference is None or not update.scale_known:
        raise ValueError("no metric motion from one frame to another")
    relative = update.relative
    known = relative is not None
    motion = relative if relative is not None else UncertainPose.origin()
    covariance = motion.covariance.copy()
    if not known:
        covariance[0, 0] = -1.0
    matched, inliers = len(update.inlier), int(update.inlier.sum())
    essential = essential_matrix(*invert_pose(motion.rotation, motion.position))
    return {
        "header": located.header,
        "reference_header": reference,
        "status": STATUS_OK if known else STATUS_TOO_FEW_MATCHES,
        "translation": motion.position,
        "rotation": quaternion(motion.rotation),
        "translation_scale_known": known,
        "covariance": covariance.ravel(),
        "essential": essential.ravel(),
        "inliers": inliers,
        "inlier_ratio": inliers / matched if matched else 0.0,
        "median_parallax": _median_parallax(update.points[update.inlier], motion),
    }


def _median_parallax(points: Array, motion: UncertainPose) -> float:
    """Of points (N, 3) in the current camera, rad; 0 without any."""
    from_reference = points + motion.rotation.T @ motion.position
    across = np.linalg.norm(np.cross(points, from_reference), axis=1)
    angles = np.arctan2(across, (points * from_reference).sum(axis=1))
    known = angles[np.isfinite(angles)]
    return float(np.median(known)) if len(known) else 0.0
