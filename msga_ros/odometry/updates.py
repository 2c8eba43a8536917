"""What the odometry says of a frame."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.odometry.matches import MatchesLike
from msga_ros.odometry.poses import UncertainPose
from msga_ros.odometry.rig import RigCheck


class OdometryStatus(enum.IntEnum):
    """Of the pose of a frame."""

    STARTED = 0  # nothing to compare with: the first frame, or mono before it has parallax
    OK = 1
    LOST = 2  # no motion found: the last one is assumed to go on, with a covariance to match
    RESCALED = 3  # a motion, but no point told its length: that of the last one was taken


@dataclass(frozen=True)
class OdometryUpdate:
    """What the odometry says of a frame.

    `pose`: of the (left) camera in the frame of the first one; metres only where `scale_known`.
    None in mono as long as nothing is known. `relative`: the same in the reference (key)frame of
    stamp `reference_stamp`, None for the first frame and where LOST. Both covariances as in
    `RelativePose.msg`, but over the whole translation, whose length is in the unit of the pose.

    `matches`: reference to current, None for the first frame; `inlier` (N,): its rows that agree
    with the motion; `track_ids` (N,) uint64 of its rows, 0 for outliers. `feature_ids` (M,) uint64:
    the same by feature of the (left) image, with those that begin here. `points` (N, 3): of the
    inlier rows, in the current camera, NaN elsewhere. `keyframe`: this frame is a reference of
    those to come. `sigma_px`: of one coordinate, NaN without a motion. `rig`: stereo alone.

    `motion`: of the (left) camera since the last frame whose motion was found, in that frame's
    axes, metres, and `motion_seconds` the time that it took; where LOST, the guess and its time.
    None for the first frame, in mono, and where nothing was there to guess from.
    """

    stamp: float
    status: OdometryStatus
    pose: UncertainPose | None
    relative: UncertainPose | None
    reference_stamp: float | None
    scale_known: bool
    matches: MatchesLike | None
    inlier: NDArray[np.bool_]
    track_ids: NDArray[np.uint64]
    feature_ids: NDArray[np.uint64]
    points: NDArray[np.float64]
    keyframe: bool
    sigma_px: float
    rig: RigCheck | None
    motion: UncertainPose | None = None
    motion_seconds: float = 0.0


def first_update(
    stamp: float,
    pose: UncertainPose,
    scale_known: bool,
    feature_ids: NDArray[np.uint64],
    rig: RigCheck | None = None,
) -> OdometryUpdate:
    """Of a frame that there is nothing to compare with."""
    return OdometryUpdate(
        stamp=stamp,
        status=OdometryStatus.STARTED,
        pose=pose,
        relative=None,
        reference_stamp=None,
        scale_known=scale_known,
        matches=None,
        inlier=np.zeros(0, dtype=bool),
        track_ids=np.zeros(0, dtype=np.uint64),
        feature_ids=feature_ids,
        points=np.zeros((0, 3)),
        keyframe=True,
        sigma_px=float("nan"),
        rig=rig,
    )


def update_without_motion(
    stamp: float,
    status: OdometryStatus,
    pose: UncertainPose | None,
    reference_stamp: float,
    matches: MatchesLike,
    *,
    scale_known: bool,
    feature_ids: NDArray[np.uint64],
    keyframe: bool,
    rig: RigCheck | None = None,
    motion: UncertainPose | None = None,
    motion_seconds: float = 0.0,
) -> OdometryUpdate:
    """Of a frame whose `matches` tell no motion: none of them holds. The arguments are the fields
    of `OdometryUpdate`."""
    count = len(matches.inlier)
    return OdometryUpdate(
        stamp=stamp,
        status=status,
        pose=pose,
        relative=None,
        reference_stamp=reference_stamp,
        scale_known=scale_known,
        matches=matches,
        inlier=np.zeros(count, dtype=bool),
        track_ids=np.zeros(count, dtype=np.uint64),
        feature_ids=feature_ids,
        points=np.full((count, 3), np.nan),
        keyframe=keyframe,
        sigma_px=float("nan"),
        rig=rig,
        motion=motion,
        motion_seconds=motion_seconds,
    )
