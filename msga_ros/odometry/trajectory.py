"""Trajectories as files: TUM and KITTI, as evo and others read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.rotations import quaternion
from msga_ros.whole_files import write_whole


def write_tum(path: Path, stamps: npt.ArrayLike, poses: npt.ArrayLike) -> None:
    """Lines `stamp x y z qx qy qz qw` of poses (N, 4, 4), camera to world; stamps in s."""
    rows = []
    for stamp, pose in zip(np.asarray(stamps, float), np.asarray(poses, float), strict=True):
        numbers = " ".join(f"{value:.9f}" for value in (*pose[:3, 3], *quaternion(pose[:3, :3])))
        rows.append(f"{stamp:.9f} {numbers}\n")
    write_whole(path, "".join(rows))


def write_kitti(path: Path, poses: npt.ArrayLike) -> None:
    """Lines of the twelve numbers of `[R p]`, row by row, of poses (N, 4, 4), camera to world."""
    rows = np.asarray(poses, dtype=np.float64)[:, :3].reshape(-1, 12)
    lines = (" ".join(f"{value:.9e}" for value in row) + "\n" for row in rows)
    write_whole(path, "".join(lines))
