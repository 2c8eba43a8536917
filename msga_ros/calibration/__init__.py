"""Calibration files: which formats there are, and the cameras in a file.

A format is a module of `base.Format`, named in `FORMATS`; the first one whose entries a file has
reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from msga_ros.calibration.base import CalibratedCamera, CalibrationError, Format, shortened
from msga_ros.calibration.documents import read_document
from msga_ros.calibration.entries import motion
from msga_ros.configuration.registry import Registry
from msga_ros.geometry.camera import Camera, CameraError

FORMATS = Registry(
    "calibration format",
    "msga_ros.calibrations",
    {name: f"{__name__}.{name}" for name in ("kalibr", "euroc", "opencv", "orb_slam", "ros")},
    CalibrationError,
)


def read_cameras(text: str) -> tuple[CalibratedCamera, ...]:
    """The cameras that `FILE`, or `FILE#NAME` or `FILE#NAME,NAME` for some of them, means.

    Raises `CalibrationError`, which names file and entry.
    """
    file, names = text, ""
    if "#" in text and not Path(text).exists():
        file, _, names = text.rpartition("#")
    path = Path(file).expanduser()
    document = read_document(path)
    known: Iterator[Format] = (FORMATS.load(name) for name in FORMATS.names())
    kind = next((one for one in known if one.matches(document)), None)
    if kind is None:
        found = shortened(", ".join(document))
        raise CalibrationError(
            f"{path}: not a camera calibration (neither camera_matrix nor k, nor the entries of "
            f"{', '.join(FORMATS.names())}; it has {found})"
        )
    try:
        cameras = [replace(one, source=str(path)) for one in kind.read(document)]
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from None
    if len(cameras) > 1:
        cameras = [replace(one, source=f"{path}#{one.name}") for one in cameras]
    chosen = _chosen(path, cameras, names.split(",")) if names else cameras
    for one in chosen:
        _check(one)
    return tuple(chosen)


def read_camera(text: str) -> CalibratedCamera:
    """The one camera that `text` means. Raises `CalibrationError` where it means several."""
    cameras = read_cameras(text)
    if len(cameras) != 1:
        names = shortened(", ".join(one.name for one in cameras))
        raise CalibrationError(
            f"{text}: {len(cameras)} cameras ({names}): choose one, FILE#{cameras[0].name}"
        )
    return cameras[0]


def read_pair(text: str) -> tuple[CalibratedCamera, CalibratedCamera]:
    """Left and right camera of a rig. Raises `CalibrationError` where `text` means not two."""
    cameras = read_cameras(text)
    if len(cameras) != 2:
        names = shortened(", ".join(one.name for one in cameras))
        advice = "FILE#LEFT,RIGHT chooses two" if len(cameras) > 2 else "a rig has two"
        raise CalibrationError(f"{text}: {len(cameras)} cameras ({names}): {advice}")
    return cameras[0], cameras[1]


def _chosen(
    path: Path, cameras: list[CalibratedCamera], names: list[str]
) -> list[CalibratedCamera]:
    by_name = {one.name: one for one in cameras}
    missing = [name for name in names if name not in by_name]
    if missing:
        known = shortened(", ".join(by_name))
        raise CalibrationError(f"{path}: no camera {shortened(missing[0])!r} (there are {known})")
    return [by_name[name] for name in names]


def _check(camera: CalibratedCamera) -> None:
    """Check a camera when its file is read, not at the first image. Raises `CalibrationError`."""
    if any(camera.info.r):
        motion(np.reshape(camera.info.r, (3, 3)), np.zeros(3), f"{camera.source}: R")
    try:
        Camera.from_camera_info(camera.info, rectified=False)
    except CameraError as error:
        reason = str(error).removeprefix("camera_info: ")
        raise CalibrationError(f"{camera.source}: {reason}") from None
