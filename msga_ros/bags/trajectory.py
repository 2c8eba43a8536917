"""Trajectories of a run as files that evo and the KITTI tools read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msga_ros.bags.motion import StampedPose
from msga_ros.odometry.poses import pose_matrix
from msga_ros.odometry.trajectory import write_kitti, write_tum


def write_trajectories(folder: Path, poses: Sequence[StampedPose]) -> tuple[Path, ...]:
    """`trajectory_tum.txt` and `trajectory_kitti.txt` in `folder`; nothing without poses."""
    if not poses:
        return ()
    tum, kitti = folder / "trajectory_tum.txt", folder / "trajectory_kitti.txt"
    matrices = [pose_matrix(pose.rotation, pose.position) for pose in poses]
    write_tum(tum, [pose.stamp_ns * 1e-9 for pose in poses], matrices)
    write_kitti(kitti, matrices)
    return tum, kitti
