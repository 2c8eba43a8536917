"""Camera chains of Kalibr: `cam0`, `cam1`, ..., each with the pose of the one before.

Format: https://github.com/ethz-asl/kalibr/wiki/yaml-formats. `T_cn_cnm1` takes points of the camera
before to this one, `T_cam_imu` points of the IMU. Of its projection models `pinhole` is read.
"""

from __future__ import annotations

import re

from msga_ros.calibration.base import (
    CalibratedCamera,
    CalibrationError,
    Document,
    FileCameraInfo,
    shortened,
)
from msga_ros.calibration.entries import (
    mapping,
    numbers,
    pinhole,
    required,
    size,
    transform,
)
from msga_ros.geometry.camera_pose import Pose

_MOST_CAMERAS = 64


def matches(document: Document) -> bool:
    """`cam0` with `intrinsics`."""
    return any(
        isinstance(document[name], dict) and "intrinsics" in document[name]
        for name in _cameras(document)
    )


def read(document: Document) -> list[CalibratedCamera]:
    """The cameras of the chain."""
    names = _cameras(document)
    if len(names) > _MOST_CAMERAS:
        raise CalibrationError(f"{len(names)} cameras")
    entries = [mapping(document[name], name) for name in names]
    by_imu = all("T_cam_imu" in one for one in entries)
    found: list[CalibratedCamera] = []
    before: Pose | None = Pose.identity()
    for number, (name, one) in enumerate(zip(names, entries, strict=True)):
        if "T_cn_cnm1" in one and number > 0:
            step = transform(one["T_cn_cnm1"], f"{name}: T_cn_cnm1")
            before = None if before is None else step.after(before)
        elif by_imu:
            before = transform(one["T_cam_imu"], f"{name}: T_cam_imu")
        elif number > 0:
            before = None
        found.append(_camera(name, one, before))
    return found


def _cameras(document: Document) -> list[str]:
    names = [name for name in document if re.fullmatch(r"cam\d{1,3}", name)]
    return sorted(names, key=lambda name: int(name[3:]))


def _camera(name: str, entries: Document, pose: Pose | None) -> CalibratedCamera:
    model = str(required(entries, "camera_model"))
    if model != "pinhole":
        raise CalibrationError(
            f"{name}: camera_model {shortened(model)!r} is not supported: calibrate with "
            "pinhole-radtan or, for wide angles, with pinhole-equi"
        )
    resolution = entries.get("resolution")
    width, height = (0, 0) if resolution is None else numbers(resolution, f"{name}: resolution", 2)
    info = FileCameraInfo(
        width=size(width, f"{name}: resolution"),
        height=size(height, f"{name}: resolution"),
        distortion_model=str(entries.get("distortion_model") or "none"),
        d=numbers(entries.get("distortion_coeffs") or [], f"{name}: distortion_coeffs"),
        k=pinhole(numbers(required(entries, "intrinsics"), f"{name}: intrinsics", 4)),
    )
    return CalibratedCamera(name, info, pose)
