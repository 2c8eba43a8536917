"""KITTI odometry: `sequences/NN/{calib.txt, image_0..3}` and `poses/NN.txt`.

Format: Geiger et al., "Are we ready for autonomous driving?", CVPR 2012. Poses are those of the
left grey camera (camera 0) in the world, 3x4 row by row; `P0..P3` project points of camera 0's
frame into each rectified camera: `P = K [I | b]`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.posed.base import (
    PosedImage,
    PosedImagesError,
    PosedScene,
    numbered_lines,
    numbers,
    plain_name,
    rotation,
)
from msga_ros.datasets.posed.trajectory import inverse
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose

_SUFFIXES = (".png", ".jpg", ".jpeg")
_PAIRS = ((2, 3), (0, 1))  # the colour cameras where they are there, else the grey ones


def is_scene(folder: Path) -> bool:
    """Whether the folder looks like one of these."""
    return (folder / "calib.txt").is_file() and any(folder.glob("image_[0-3]"))


def read(folder: Path, poses: Path | None = None) -> PosedScene:
    """One sequence, with one or both cameras of its stereo rig.

    `poses`: None looks for `../../poses/NN.txt`, then for `poses.txt` in the folder.
    """
    projections = _projections(folder / "calib.txt")
    trajectory = _poses(poses or _pose_file(folder))
    cameras = next(
        (pair for pair in _PAIRS if any((folder / f"image_{c}").is_dir() for c in pair)), ()
    )
    posed = []
    for number in cameras:
        location = folder / f"image_{number}"
        if not location.is_dir():
            continue
        if number not in projections:
            raise PosedImagesError(f"{folder / 'calib.txt'}: there is no P{number} in it")
        projection = projections[number]
        camera = Camera(projection[:, :3] / projection[2, 2])
        offset = np.linalg.solve(projection[:, :3], projection[:, 3])
        for path in sorted(p for p in location.iterdir() if p.suffix.lower() in _SUFFIXES):
            if not path.stem.isdigit() or int(path.stem) >= len(trajectory):
                continue
            rig = trajectory[int(path.stem)]
            pose = Pose(rig.rotation, rig.translation + offset)
            name = f"image_{number}/{path.name}"
            posed.append(PosedImage(name, path, camera, pose, int(path.stem)))
    return PosedScene(plain_name(f"kitti_{folder.resolve().name}"), tuple(posed))


def _projections(path: Path) -> dict[int, NDArray[np.float64]]:
    found: dict[int, NDArray[np.float64]] = {}
    for where, line in numbered_lines(path):
        key, _, rest = line.partition(":")
        if key.startswith("P") and key[1:].isdigit():
            found[int(key[1:])] = numbers(rest.split(), 12, f"{where}, {key}").reshape(3, 4)
    return found


def _pose_file(folder: Path) -> Path:
    places = (
        folder.resolve().parents[1] / "poses" / f"{folder.resolve().name}.txt",
        folder / "poses.txt",
    )
    for place in places:
        if place.is_file():
            return place
    raise PosedImagesError(f"{folder}: no poses, neither {places[0]} nor {places[1]}")


def _poses(path: Path) -> list[Pose]:
    poses = []
    for where, line in numbered_lines(path):
        matrix = numbers(line.split(), 12, where).reshape(3, 4)
        poses.append(inverse(rotation(matrix[:, :3], where), matrix[:, 3]))
    return poses
