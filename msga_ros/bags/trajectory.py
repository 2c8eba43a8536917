"""Trajectories of a run as files that evo and the KITTI tools read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from msga_ros.bags.motion import Motion, StampedPose, chain
from msga_ros.node.contents import quaternion


def write_trajectories(
    folder: Path, motions: Sequence[Motion], stereo: bool
) -> tuple[tuple[Path, ...], int]:
    """`trajectory_tum.txt` and `trajectory_kitti.txt` in `folder`; the files and how many poses."""
    if stereo or not motions:
        return (), 0
    poses = chain(motions)
    tum, kitti = folder / "trajectory_tum.txt", folder / "trajectory_kitti.txt"
    tum.write_text("".join(_tum(pose) for pose in poses))
    kitti.write_text("".join(_kitti(pose) for pose in poses))
    return (tum, kitti), len(poses)


def _tum(pose: StampedPose) -> str:
    seconds, nanoseconds = divmod(pose.stamp_ns, 1_000_000_000)
    values = (*pose.position, *quaternion(pose.rotation))
    return f"{seconds}.{nanoseconds:09d} " + " ".join(f"{one:.9g}" for one in values) + "\n"


def _kitti(pose: StampedPose) -> str:
    matrix = np.column_stack([pose.rotation, pose.position])
    return " ".join(f"{one:.9g}" for one in matrix.ravel()) + "\n"
