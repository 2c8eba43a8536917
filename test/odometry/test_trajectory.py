"""Trajectories as files: what a reader finds is what was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from msga_ros.bags.motion import StampedPose
from msga_ros.bags.trajectory import write_trajectories
from msga_ros.geometry.rotations import quaternion
from msga_ros.odometry.trajectory import write_kitti, write_tum


def poses(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    made = np.tile(np.eye(4), (count, 1, 1))
    made[:, :3, :3] = Rotation.random(count, random_state=1).as_matrix()
    made[:, :3, 3] = rng.normal(0, 10, (count, 3))
    return made


def test_stamps_keep_their_microseconds(tmp_path: Path) -> None:
    """A camera at 800 Hz, by simulated time and by that of today."""
    for start in (100, 1_795_000_000):
        stamps = [start + 0.00125 * i + 0.000321 for i in range(9)]
        write_tum(tmp_path / "tum.txt", stamps, poses(9))
        read = np.loadtxt(tmp_path / "tum.txt")[:, 0]
        np.testing.assert_allclose(read - start, np.subtract(stamps, start), rtol=0, atol=1e-6)


def test_poses_come_back(tmp_path: Path) -> None:
    made = poses(20)
    write_tum(tmp_path / "tum.txt", np.arange(20), made)
    write_kitti(tmp_path / "kitti.txt", made)
    tum = np.loadtxt(tmp_path / "tum.txt")
    np.testing.assert_allclose(tum[:, 1:4], made[:, :3, 3], atol=1e-8)
    np.testing.assert_allclose(
        Rotation.from_quat(tum[:, 4:]).as_matrix(), made[:, :3, :3], atol=1e-8
    )
    assert (tum[:, 7] >= 0).all()
    kitti = np.loadtxt(tmp_path / "kitti.txt").reshape(-1, 3, 4)
    np.testing.assert_allclose(kitti, made[:, :3], atol=1e-8)


@pytest.mark.parametrize("degrees", [0.0, 90.0, 180.0])
def test_quaternions_of_large_turns(degrees: float) -> None:
    for axis in np.eye(3):
        turn = Rotation.from_rotvec(np.radians(degrees) * axis)
        found = Rotation.from_quat(quaternion(turn.as_matrix()))
        assert (found.inv() * turn).magnitude() < 1e-9


def test_those_of_a_bag_have_the_stamps_of_its_images(tmp_path: Path) -> None:
    stamps = [1_795_000_000_000_321_000 + 1_250_000 * i for i in range(5)]
    made = [
        StampedPose(stamp, np.eye(3), np.array([0.1 * i, 0, 0])) for i, stamp in enumerate(stamps)
    ]
    tum, kitti = write_trajectories(tmp_path, made)
    read = np.loadtxt(tum)
    off = (read[:, 0] - 1_795_000_000) * 1e9 - np.subtract(stamps, 1_795_000_000_000_000_000)
    assert np.abs(off).max() < 1000  # ns: what a double holds of seconds since 1970
    np.testing.assert_allclose(read[:, 1], [0.0, 0.1, 0.2, 0.3, 0.4])
    assert len(np.loadtxt(kitti)) == 5
    assert write_trajectories(tmp_path, []) == ()
