"""Calibrations that come from files, by the parameters that name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msga_ros.calibration import read_camera, read_pair
from msga_ros.calibration.base import CalibratedCamera, CalibrationError, FileCameraInfo
from msga_ros.calibration.rig import as_stereo_pair, usable
from msga_ros.stream.settings import Settings

_LEFT, _RIGHT, _RIG = "left/calibration", "right/calibration", "calibration"


@dataclass(frozen=True)
class CalibrationFiles:
    """By input name (`left/camera_info`): what stands for its messages, and where it is from."""

    infos: Mapping[str, FileCameraInfo] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, settings: Settings) -> CalibrationFiles:
        """The files that the parameters name. Raises `CalibrationError`."""
        rectified = bool(settings["rectified"])
        left, right, rig = (str(settings[name]) for name in (_LEFT, _RIGHT, _RIG))
        if not settings.stereo:
            if left or right:
                raise CalibrationError(f"{_LEFT} and {_RIGHT} are of mode stereo: give {_RIG}")
            return cls.of_one_camera(rig, rectified)
        if rig and (left or right):
            raise CalibrationError(f"give either {_RIG}, or {_LEFT} and {_RIGHT}")
        if rig:
            return cls._of(dict(zip(("left/", "right/"), read_pair(rig), strict=True)), rectified)
        given = {"left/": left, "right/": right}
        return cls._of({side: read_camera(one) for side, one in given.items() if one}, rectified)

    @classmethod
    def of_one_camera(cls, file: str, rectified: bool) -> CalibrationFiles:
        """The `file` of the only camera; "": there is none. Raises `CalibrationError`."""
        return cls._of({"": read_camera(file)} if file else {}, rectified)

    @classmethod
    def of_camera_and_right(cls, file: str, right: str, rectified: bool) -> CalibrationFiles:
        """Of a rig whose left inputs have no prefix: `file` of both cameras, or one file of each.

        Raises `CalibrationError`, also where only the right one is given.
        """
        if not file:
            if right:
                raise CalibrationError(f"{_RIGHT} is given without {_RIG}")
            return cls()
        pair = (read_camera(file), read_camera(right)) if right else read_pair(file)
        return cls._of(dict(zip(("", "right/"), pair, strict=True)), rectified)

    @classmethod
    def _of(cls, cameras: Mapping[str, CalibratedCamera], rectified: bool) -> CalibrationFiles:
        infos = {f"{side}camera_info": usable(one, rectified) for side, one in cameras.items()}
        if len(cameras) == 2:
            left, right = cameras.values()
            pair = as_stereo_pair(left, right, rectified)
            infos = dict(zip(infos, pair, strict=True))
        return cls(infos, {f"{side}camera_info": one.source for side, one in cameras.items()})
