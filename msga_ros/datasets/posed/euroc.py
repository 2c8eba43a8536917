"""EuRoC MAV sequences (and TUM-VI's, which use the same layout): `mav0/cam0`, `cam1`, ground truth.

Format: Burri et al., "The EuRoC micro aerial vehicle datasets", IJRR 2016. `sensor.yaml` holds
`T_BS`, camera to body; ground truth is body to world at 200 Hz, with times in nanoseconds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from msga_ros.calibration import read_camera
from msga_ros.calibration.base import CalibrationError
from msga_ros.datasets.posed.base import (
    PosedImage,
    PosedImagesError,
    PosedScene,
    numbered_lines,
    numbers,
    plain_name,
)
from msga_ros.datasets.posed.trajectory import Trajectory, check_quaternion, inverse
from msga_ros.foreign_text import shown
from msga_ros.geometry.camera import Camera, CameraError
from msga_ros.geometry.camera_pose import Pose

# Numbers of a line of ground truth behind its time: a pose, and then also the velocity and the
# biases of gyroscope and accelerometer.
_POSE = 7
_COUNTS = (_POSE, 10, 13, 16)
_TRUTH = ("state_groundtruth_estimate0", "mocap0")


def _recording(folder: Path) -> Path:
    return folder / "mav0" if (folder / "mav0").is_dir() else folder


def is_scene(folder: Path) -> bool:
    """Whether the folder looks like one of these."""
    return (_recording(folder) / "cam0" / "sensor.yaml").is_file()


def read(folder: Path) -> PosedScene:
    """The sequence, with all of its cameras; images without ground truth are left out."""
    recording = _recording(folder)
    truth = next((recording / n / "data.csv" for n in _TRUTH if (recording / n).is_dir()), None)
    if truth is None:
        raise PosedImagesError(f"{recording}: no ground truth ({' or '.join(_TRUTH)})")
    trajectory = _trajectory(truth)
    found: list[tuple[int, str, Path, Camera, Pose]] = []
    for sensor in sorted(recording.glob("cam[0-9]")):
        camera, to_body = _sensor(sensor / "sensor.yaml")
        for where, line in numbered_lines(sensor / "data.csv"):
            stamp, _, file = (part.strip() for part in line.partition(","))
            motion = trajectory.at(_seconds(stamp, where))
            if motion is None:
                continue
            rotation, position = motion
            pose = inverse(rotation @ to_body.rotation, rotation @ to_body.translation + position)
            path = sensor / "data" / file
            found.append((int(stamp), f"{sensor.name}/{file}", path, camera, pose))
    stamps = sorted({stamp for stamp, *_ in found})
    frames = {stamp: frame for frame, stamp in enumerate(stamps)}  # both cameras share one
    posed = (
        PosedImage(name, path, camera, pose, frames[stamp])
        for stamp, name, path, camera, pose in found
    )
    place = folder.resolve()
    name = place.parent.name if place.name == "mav0" else place.name
    return PosedScene(plain_name(name), tuple(posed))


def _seconds(nanoseconds: str, where: str) -> float:
    if not nanoseconds.isdigit():
        raise PosedImagesError(f"{where}: {shown(nanoseconds)!r} is no time in nanoseconds")
    return int(nanoseconds) * 1e-9


def _sensor(path: Path) -> tuple[Camera, Pose]:
    """The camera, and its pose in the body."""
    try:
        found = read_camera(str(path))
        camera = Camera.from_camera_info(found.info, rectified=False)
    except (CalibrationError, CameraError) as error:
        raise PosedImagesError(f"{error}: not the description of a camera") from None
    if found.pose is None:
        raise PosedImagesError(f"{path}: not the description of a camera (T_BS is missing)")
    return camera, found.pose.inverse()


def _trajectory(path: Path) -> Trajectory:
    rows = []
    for where, line in numbered_lines(path):
        stamp, *rest = (word.strip() for word in line.split(","))
        pose = numbers(rest, len(rest) if len(rest) in _COUNTS else _POSE, where)[:_POSE]
        check_quaternion(pose[3:7], where)
        rows.append((_seconds(stamp, where), *pose))
    if not rows:
        raise PosedImagesError(f"{path}: there is no pose in it")
    table = np.array(rows)
    return Trajectory(table[:, 0], table[:, 1:4], table[:, 4:8])
