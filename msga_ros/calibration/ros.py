"""Calibration files of ROS (`camera_calibration_parsers`), and `camera_info` as echoed.

OpenCV's own calibration program uses the same names, some of them in capitals.
"""

from __future__ import annotations

from msga_ros.calibration.base import CalibratedCamera, Document, FileCameraInfo, Region
from msga_ros.calibration.entries import mapping, model_of, numbers, required, size

_REGION = ("x_offset", "y_offset", "width", "height")


def matches(document: Document) -> bool:
    """`camera_matrix`, or `k`."""
    return bool({"camera_matrix", "k"} & {key.lower() for key in document})


def read(document: Document) -> list[CalibratedCamera]:
    """The one camera."""
    entries = {key.lower(): value for key, value in document.items()}
    echoed = "camera_matrix" not in entries
    names = (
        ("k", "d", "r", "p")
        if echoed
        else (
            "camera_matrix",
            "distortion_coefficients",
            "rectification_matrix",
            "projection_matrix",
        )
    )
    prefix = "" if echoed else "image_"
    k, d, r, p = names
    coefficients = () if entries.get(d) is None else numbers(entries[d], d)
    region = mapping(entries.get("roi") or {}, "roi")
    info = FileCameraInfo(
        width=size(entries.get(prefix + "width"), prefix + "width"),
        height=size(entries.get(prefix + "height"), prefix + "height"),
        distortion_model=_model(entries, coefficients),
        d=coefficients,
        k=numbers(required(entries, k), k, 9),
        r=(0.0,) * 9 if entries.get(r) is None else numbers(entries[r], r, 9),
        p=(0.0,) * 12 if entries.get(p) is None else numbers(entries[p], p, 12),
        binning_x=size(entries.get("binning_x"), "binning_x"),
        binning_y=size(entries.get("binning_y"), "binning_y"),
        roi=Region(*(size(region.get(name), f"roi {name}") for name in _REGION)),
    )
    return [CalibratedCamera(str(entries.get("camera_name") or "camera"), info)]


def _model(entries: Document, coefficients: tuple[float, ...]) -> str:
    if entries.get("distortion_model") is not None:
        return str(entries["distortion_model"])
    return "equidistant" if entries.get("fisheye_model") else model_of(coefficients)
