"""What in a calibration contradicts itself, or the images; nothing of it stops the work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from msga_ros.geometry.camera import Camera, CameraInfo
from msga_ros.odometry.observations import Rig

_LONGEST_BASELINE = 10.0  # m; between these no unit but the metre makes sense of a stereo rig
_SHORTEST_BASELINE = 5e-3
_OTHER_SIZE = 1.3  # P of an image larger or smaller by this factor than that of K
_NARROWEST, _WIDEST = 50.0, 0.1  # focal length over the larger side of the image
_MARGIN = 0.05  # share of the image at its borders where no principal point lies
_MARGIN_BINNED = 0.3  # where binning is applied twice, it lies at a quarter

_PAIRS = 3  # in a row that contradict the calibration before it is said
_CONTRADICTS_DEG = 60.0
_OPPOSITE_DEG = 120.0


def camera_doubts(info: CameraInfo, camera: Camera, rectified: bool) -> list[str]:
    """What is implausible about a `camera_info` and the `camera` made of it, a line each."""
    name = "p" if rectified else "k"
    width, height = camera.width, camera.height
    doubts: list[str] = []
    if width and height:
        focal = camera.mean_focal / max(width, height)
        if not _WIDEST <= focal <= _NARROWEST:
            doubts.append(
                f"{name}: a focal length of {camera.mean_focal:g} px is implausible in images of "
                f"{width}x{height}"
            )
        centre = camera.k[:2, 2] / (width, height)
        binning = binning_text(info)
        margin = _MARGIN_BINNED if binning else _MARGIN
        if not ((centre > margin) & (centre < 1 - margin)).all() and not _is_region(info):
            doubts.append(
                f"{name}: the principal point ({camera.k[0, 2]:g}, {camera.k[1, 2]:g}) is far from "
                f"the middle of {width}x{height} images{binning}"
            )
    k, p = (np.asarray(one, dtype=np.float64).ravel() for one in (info.k, info.p))
    if k.size == 9 and p.size == 12 and k.any() and p.any():
        doubts += _sizes_differ(k, p)
    return doubts


def binning_text(info: CameraInfo) -> str:
    """The usual mistake where a `camera_info` with binning does not fit its images; else ""."""
    factors = (max(int(info.binning_x), 1), max(int(info.binning_y), 1))
    if factors == (1, 1):
        return ""
    return (
        f" (binning {factors[0]}x{factors[1]} is applied to width, height, k and p, which are of "
        "the full resolution: are they binned already?)"
    )


def rig_doubts(left: CameraInfo, right: CameraInfo, rig: Rig, rectified: bool) -> list[str]:
    """What is implausible about two `camera_info` and the `rig` made of them, a line each."""
    doubts = []
    if not _SHORTEST_BASELINE <= rig.baseline <= _LONGEST_BASELINE:
        doubts.append(
            f"the baseline of {rig.baseline:g} m is implausible (P[3] is -fx times the baseline in "
            "metres, not in millimetres or centimetres)"
        )
    empty = [side for side, one in (("left", left), ("right", right)) if not np.any(one.r)]
    if empty and not rectified:
        doubts.append(f"r of the {' and the '.join(empty)} camera is not filled in: the identity")
    return doubts


class DirectionCheck:
    """Whether pairs measure the direction of translation that the calibration of the rig states."""

    def __init__(self) -> None:
        self._rig: Rig | None = None
        self._angles: deque[float] = deque(maxlen=_PAIRS)

    def update(self, rig: Rig, translation: ArrayLike) -> str:
        """Take in the `translation` (3,) of a pair whose status is OK, as in `x1 = R x0 + t`.

        The contradiction in a line, or "" while there is none.
        """
        if self._rig is None or not _same(self._rig, rig):
            self._rig = rig
            self._angles.clear()
        self._angles.append(_angle_deg(rig.translation, np.asarray(translation, np.float64)))
        if len(self._angles) < _PAIRS or min(self._angles) < _CONTRADICTS_DEG:
            return ""
        apart = float(np.median(self._angles))
        text = f"the images measure a translation between the cameras {apart:.0f} degrees from "
        if min(self._angles) < _OPPOSITE_DEG:
            return text + "that of the calibration: it is of other cameras, or of another mounting"
        entry = "P[3]" if abs(rig.translation[0]) >= abs(rig.translation[1]) else "P[7]"
        return text + (
            f"that of the calibration: the sign of {entry} of the right camera is wrong, or left "
            "and right are swapped"
        )


class SaidOnce:
    """Complains of doubts when they are new, and again only after they had gone."""

    def __init__(self, complain: Callable[[str, str, str], None]) -> None:
        self._complain = complain
        self._said: dict[str, tuple[str, ...]] = {}

    def say(self, topic: str, doubts: Sequence[str]) -> None:
        """These are the doubts about `topic` now."""
        before = self._said.get(topic, ())
        self._said[topic] = tuple(doubts)
        for text in doubts:
            if text not in before:
                self._complain("calibration", topic, text)


def _sizes_differ(k: NDArray[np.float64], p: NDArray[np.float64]) -> list[str]:
    """Whether K and P are of images of different sizes: both centres differ by one factor."""
    with np.errstate(all="ignore"):
        across, down = p[2] / k[2], p[6] / k[5]
    if not (np.isfinite([across, down]).all() and min(across, down) > 0):
        return []
    smaller, larger = sorted((max(across, 1 / across), max(down, 1 / down)))
    if (across > 1) != (down > 1) or smaller < _OTHER_SIZE or larger > 1.1 * smaller:
        return []
    return [
        f"k and p are of images of different sizes: their centres are ({k[2]:g}, {k[5]:g}) and "
        f"({p[2]:g}, {p[6]:g})"
    ]


def _is_region(info: CameraInfo) -> bool:
    return bool(info.roi.width or info.roi.x_offset or info.roi.y_offset)


def _angle_deg(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    cosine = float(one @ other) / lengths if lengths > 0 else 1.0
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _same(one: Rig, other: Rig) -> bool:
    pairs = ((one.rotation, other.rotation), (one.translation, other.translation))
    return all(np.array_equal(a, b) for a, b in pairs)
