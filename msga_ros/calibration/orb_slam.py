"""Settings of ORB-SLAM2 and ORB-SLAM3: `Camera.fx`, or `Camera1.fx` and `Camera2.fx`.

`Stereo.T_c1_c2` (in older files `Tlr`) takes points of the second camera to the first. A pair that
is rectified already has one set of intrinsics and `Stereo.b` in metres, or `Camera.bf`, the same
times fx. Settings that hold `LEFT.K` are read by `opencv`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from msga_ros.calibration.base import (
    CalibratedCamera,
    CalibrationError,
    Document,
    FileCameraInfo,
    shortened,
)
from msga_ros.calibration.entries import model_of, number, pinhole, required, size, transform
from msga_ros.geometry.camera_pose import Pose

# Coefficients of each type, and how many there may be of them.
_COEFFICIENTS = {
    "pinhole": (("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"), (0, 4, 5, 8)),
    "kannalabrandt8": (("k1", "k2", "k3", "k4"), (4,)),
    "rectified": ((), (0,)),
}
_TRANSFORMS = ("Stereo.T_c1_c2", "Tlr")


def matches(document: Document) -> bool:
    """`Camera.fx` or `Camera1.fx`."""
    return "Camera.fx" in document or "Camera1.fx" in document


def read(document: Document) -> list[CalibratedCamera]:
    """One camera, or the left and the right one."""
    first = "Camera1" if "Camera1.fx" in document else "Camera"
    left = CalibratedCamera("left", _camera(document, first))
    to_left = next((name for name in _TRANSFORMS if name in document), None)
    if "Camera2.fx" in document:
        right = CalibratedCamera("right", _camera(document, "Camera2"))
        if to_left is None:
            return [left, right]
        pose = transform(document[to_left], to_left).inverse()
        return [replace(left, pose=Pose.identity()), replace(right, pose=pose)]
    baseline = _baseline_of_rectified(document, left.info)
    if baseline is None:
        return [replace(left, name="camera")]
    return _rectified_pair(left.info, baseline)


def _camera(document: Document, prefix: str) -> FileCameraInfo:
    kind = str(document.get("Camera.type", "PinHole"))
    if kind.lower() not in _COEFFICIENTS:
        raise CalibrationError(f"Camera.type {shortened(kind)!r} is not supported")
    names, counts = _COEFFICIENTS[kind.lower()]
    given = [one for one, name in enumerate(names) if document.get(f"{prefix}.{name}") is not None]
    stated = given[-1] + 1 if given else 0
    count = next(one for one in counts if one >= stated)
    d = tuple(_optional(document, f"{prefix}.{name}") for name in names[:count])
    return FileCameraInfo(
        width=size(document.get("Camera.width"), "Camera.width"),
        height=size(document.get("Camera.height"), "Camera.height"),
        distortion_model="equidistant" if kind.lower() == "kannalabrandt8" else model_of(d),
        d=d,
        k=pinhole(
            [
                number(required(document, f"{prefix}.{name}"), f"{prefix}.{name}")
                for name in ("fx", "fy", "cx", "cy")
            ]
        ),
    )


def _optional(document: Document, name: str) -> float:
    return 0.0 if document.get(name) is None else number(document[name], name)


def _baseline_of_rectified(document: Document, info: FileCameraInfo) -> float | None:
    """Metres; None of a single camera, or of RGB-D, whose baseline is that of its projector."""
    if "Stereo.b" in document:
        return number(document["Stereo.b"], "Stereo.b")
    if "Camera.bf" not in document or np.any(info.d):
        return None
    return number(document["Camera.bf"], "Camera.bf") / info.k[0]


def _rectified_pair(info: FileCameraInfo, baseline: float) -> list[CalibratedCamera]:
    k = np.reshape(info.k, (3, 3))
    rotation = tuple(np.eye(3).ravel().tolist())
    cameras = []
    for name, offset in (("left", 0.0), ("right", -baseline)):
        p = np.hstack([k, k @ [[offset], [0.0], [0.0]]])
        rectified = replace(info, r=rotation, p=tuple(p.ravel().tolist()))
        pose = Pose(np.eye(3), np.array([offset, 0.0, 0.0]))
        cameras.append(CalibratedCamera(name, rectified, pose))
    return cameras
