"""What a calibration file says of a camera, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from msga_ros.geometry.camera_pose import Pose

_LONGEST_TEXT = 200  # of a foreign file, in an error


class CalibrationError(ValueError):
    """A calibration file that cannot be used; the message names file and entry."""


@dataclass(frozen=True)
class Region:
    """The part of the full image that is sent, pixels; all zeros: the whole."""

    x_offset: int = 0
    y_offset: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class FileCameraInfo:
    """The fields of `sensor_msgs/CameraInfo` that calibrate a camera, under the same names.

    `k` (9,), `r` (9,), `p` (12,) row by row, pixels; zeros where the file does not say.
    """

    width: int
    height: int
    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...] = (0.0,) * 9
    p: tuple[float, ...] = (0.0,) * 12
    binning_x: int = 0
    binning_y: int = 0
    roi: Region = field(default_factory=Region)


@dataclass(frozen=True)
class CalibratedCamera:
    """A camera of a calibration file.

    `name`: in the file. `pose`: from a frame that all cameras of the rig share to this one, metres;
    None where the file does not say (`info.p` may tell the baseline all the same). `source`: the
    file and the name, for people.
    """

    name: str
    info: FileCameraInfo
    pose: Pose | None = None
    source: str = ""


Document = Mapping[str, Any]


class Format(Protocol):
    """A format of calibration files: a module with these two functions."""

    # Whether a document has the entries by which this format is known.
    matches: Callable[[Document], bool]
    # The cameras of a document of this format, in order: left before right, of a pair. Raises
    # `CalibrationError`, which names the entry.
    read: Callable[[Document], list[CalibratedCamera]]


def shortened(text: object) -> str:
    """`text` in one line of bounded length."""
    line = " ".join(str(text)[: 4 * _LONGEST_TEXT].split())
    return line if len(line) <= _LONGEST_TEXT else line[:_LONGEST_TEXT] + " ..."
