"""TUM RGB-D sequences: `rgb.txt`, `groundtruth.txt`, and the published cameras of the benchmark.

Format: Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", IROS 2012. Ground
truth is the pose of the colour camera in the world (`tx ty tz qx qy qz qw`), at about 100 Hz;
images get the pose interpolated to their time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from msga_ros.datasets.posed.base import (
    PosedImage,
    PosedImagesError,
    PosedScene,
    numbered_lines,
    numbers,
    plain_name,
)
from msga_ros.datasets.posed.trajectory import Trajectory, check_quaternion, inverse
from msga_ros.geometry.camera import Camera

# Colour cameras as calibrated by the authors of the benchmark: fx, fy, cx, cy and k1 k2 p1 p2 k3.
_CAMERAS = {
    "freiburg1": ((517.3, 516.5, 318.6, 255.3), (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    "freiburg2": ((520.9, 521.0, 325.1, 249.7), (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    "freiburg3": ((535.4, 539.2, 320.1, 247.6), ()),
}


def is_scene(folder: Path) -> bool:
    """Whether the folder looks like one of these."""
    return (folder / "rgb.txt").is_file() and (folder / "groundtruth.txt").is_file()


def read(folder: Path, camera: Camera | None = None) -> PosedScene:
    """The sequence. `camera`: None takes the benchmark's, by `freiburg1..3` in the name."""
    chosen = camera or published_camera(folder)
    trajectory = read_trajectory(folder / "groundtruth.txt")
    posed = []
    for frame, (where, line) in enumerate(numbered_lines(folder / "rgb.txt")):
        stamp, *rest = line.split(maxsplit=1)
        file = "".join(rest)
        if not file:
            raise PosedImagesError(f"{where}: a time and a file are expected, not {line!r}")
        motion = trajectory.at(float(numbers([stamp], 1, where)[0]))
        if motion is not None:
            path = folder / file.strip()
            posed.append(PosedImage(path.name, path, chosen, inverse(*motion), frame))
    return PosedScene(plain_name(folder.resolve().name), tuple(posed))


def published_camera(folder: Path) -> Camera:
    """The colour camera that the benchmark has for the name of the folder.

    Raises `PosedImagesError` where the name does not say which.
    """
    name = folder.resolve().name.lower()
    for key, (intrinsics, distortion) in _CAMERAS.items():
        if key in name or key.replace("freiburg", "fr") in name.split("_"):
            pinhole = Camera.pinhole(*intrinsics)
            if not distortion:
                return Camera(pinhole.k, width=640, height=480)
            return Camera(pinhole.k, "plumb_bob", np.array(distortion), 640, 480)
    raise PosedImagesError(
        f"{folder}: the folder's name does not say which camera (freiburg1, 2 or 3); give --camera"
    )


def read_trajectory(path: Path) -> Trajectory:
    """Camera to world over time, of lines `stamp tx ty tz qx qy qz qw`.

    Raises `PosedImagesError`, with the line.
    """
    rows = []
    for where, line in numbered_lines(path):
        row = numbers(line.split(), 8, where)
        check_quaternion(row[[7, 4, 5, 6]], where)
        rows.append(row)
    if not rows:
        raise PosedImagesError(f"{path}: there is no pose in it")
    table = np.array(rows)
    return Trajectory(table[:, 0], table[:, 1:4], table[:, [7, 4, 5, 6]])
