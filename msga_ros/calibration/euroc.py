"""`sensor.yaml` of EuRoC and of data sets in its layout: a file a camera.

Format: Burri et al., "The EuRoC micro aerial vehicle datasets", IJRR 2016. `T_BS` takes points of
the camera to the body, so that the files of one recording share a frame.
"""

from __future__ import annotations

from msga_ros.calibration.base import (
    CalibratedCamera,
    CalibrationError,
    Document,
    FileCameraInfo,
    shortened,
)
from msga_ros.calibration.entries import numbers, pinhole, required, size, transform


def matches(document: Document) -> bool:
    """`intrinsics` beside `T_BS`, or a sensor that says it is a camera."""
    return "intrinsics" in document and ("T_BS" in document or "sensor_type" in document)


def read(document: Document) -> list[CalibratedCamera]:
    """The one camera."""
    model = str(document.get("camera_model", "pinhole"))
    if model != "pinhole":
        raise CalibrationError(f"camera_model {shortened(model)!r} is not supported")
    width, height = numbers(required(document, "resolution"), "resolution", 2)
    pose = transform(document["T_BS"], "T_BS").inverse() if "T_BS" in document else None
    info = FileCameraInfo(
        width=size(width, "resolution"),
        height=size(height, "resolution"),
        distortion_model=str(document.get("distortion_model", "radial-tangential")),
        d=numbers(document.get("distortion_coefficients") or [], "distortion_coefficients"),
        k=pinhole(numbers(required(document, "intrinsics"), "intrinsics", 4)),
    )
    return [CalibratedCamera("camera", info, pose)]
