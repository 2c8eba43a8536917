"""Stereo calibrations in OpenCV's FileStorage: `K1`, `D1`, `K2`, `D2`, `R`, `T`, or `LEFT.K`, ...

OpenCV's `stereo_calib` writes `M1`, `D1`, `M2`, `D2` to one file and `R`, `T`, `R1`, `P1`, ... to
another: what is read here is one file with both. `x_right = R x_left + T`, and T is in the unit
that the chessboard was given in, which has to be metres.
"""

from __future__ import annotations

from dataclasses import replace

from msga_ros.calibration.base import (
    CalibratedCamera,
    CalibrationError,
    Document,
    FileCameraInfo,
)
from msga_ros.calibration.entries import model_of, motion, numbers, required, size
from msga_ros.geometry.camera_pose import Pose

# Names of matrix and coefficients, of the left and of the right camera.
_PAIRS = (
    (("K1", "D1"), ("K2", "D2")),
    (("M1", "D1"), ("M2", "D2")),
    (("cameraMatrix1", "distCoeffs1"), ("cameraMatrix2", "distCoeffs2")),
    (("camera_matrix_1", "dist_coeffs_1"), ("camera_matrix_2", "dist_coeffs_2")),
    (("LEFT.K", "LEFT.D"), ("RIGHT.K", "RIGHT.D")),
)
_RECTIFIED = ("R1", "P1"), ("R2", "P2")
_SIDES = ("LEFT", "RIGHT")
_SIZES = ("size", "imageSize", "image_size")


def matches(document: Document) -> bool:
    """The matrix of the left or the right camera, under one of its names."""
    return any(name in document for pair in _PAIRS for name, _ in pair)


def read(document: Document) -> list[CalibratedCamera]:
    """The left and the right camera."""
    chosen = next(pair for pair in _PAIRS if pair[0][0] in document or pair[1][0] in document)
    dotted = chosen[0][0] == "LEFT.K"
    cameras = []
    for number, (matrix, coefficients) in enumerate(chosen):
        side = _SIDES[number]
        d = numbers(document.get(coefficients) or [], coefficients)
        width, height = _size(document, side if dotted else "")
        info = FileCameraInfo(
            width=width,
            height=height,
            distortion_model=str(document.get("distortion_model") or model_of(d)),
            d=d,
            k=numbers(required(document, matrix), matrix, 9),
        )
        r, p = (f"{side}.R", f"{side}.P") if dotted else _RECTIFIED[number]
        if document.get(r) is not None:
            info = replace(info, r=numbers(document[r], r, 9))
        if document.get(p) is not None:
            info = replace(info, p=numbers(document[p], p, 12))
        cameras.append(CalibratedCamera(side.lower(), info))
    poses = _poses(document)
    return [replace(one, pose=pose) for one, pose in zip(cameras, poses, strict=True)]


def _poses(document: Document) -> tuple[Pose | None, Pose | None]:
    if "R" not in document and "T" not in document:
        return None, None
    rotation, translation = (required(document, name) for name in ("R", "T"))
    found = numbers(rotation, "R")
    if len(found) == 3:
        raise CalibrationError("R has 3 numbers: a rotation matrix is needed, no rotation vector")
    if len(found) != 9:
        raise CalibrationError(f"R has {len(found)} numbers, not 9")
    return Pose.identity(), motion(found, numbers(translation, "T", 3), "R")


def _size(document: Document, side: str) -> tuple[int, int]:
    for name in _SIZES:
        if document.get(name) is not None and not side:
            across, down = numbers(document[name], name, 2)
            return size(across, name), size(down, name)
    width, height = (f"{side}.{one}" if side else f"image_{one}" for one in ("width", "height"))
    return size(document.get(width), width), size(document.get(height), height)
