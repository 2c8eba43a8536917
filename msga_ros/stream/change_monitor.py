"""Changes of size, encoding or calibration while a stream runs: they are reported, no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from msga_ros.foreign_text import shown
from msga_ros.geometry.camera import Camera

Complain = Callable[[str, str, str], None]


@dataclass(frozen=True)
class _Seen:
    size: tuple[int, int]
    encoding: str
    camera: Camera


class StreamChangeMonitor:
    """Remembers size, encoding and calibration of each image topic and reports a change.

    `complain(kind, topic, text)` with the kinds `size_changed`, `encoding_changed` and
    `calibration_changed`. A change of size changes the calibration along; only the size is said.
    """

    def __init__(self, complain: Complain) -> None:
        self._complain = complain
        self._seen: dict[str, _Seen] = {}

    def observe(self, topic: str, size: tuple[int, int], encoding: str, camera: Camera) -> None:
        """An image of `size` (width, height) with its camera came on `topic`."""
        before, now = self._seen.get(topic), _Seen(size, encoding, camera)
        self._seen[topic] = now
        if before is None:
            return
        if before.size != size:
            old, new = (f"{width}x{height}" for width, height in (before.size, size))
            self._complain("size_changed", topic, f"the image size changed from {old} to {new}")
        elif not _same(before.camera, camera):
            text = f"the calibration changed from {_text(before.camera)} to {_text(camera)}"
            self._complain("calibration_changed", topic, text)
        if before.encoding != encoding:
            text = f"the encoding changed from {shown(before.encoding)} to {shown(encoding)}"
            self._complain("encoding_changed", topic, text)


def _same(one: Camera, other: Camera) -> bool:
    return (
        np.array_equal(one.k, other.k)
        and one.distortion_model == other.distortion_model
        and np.array_equal(one.distortion, other.distortion)
    )


def _text(camera: Camera) -> str:
    k = camera.k
    return (
        f"fx {k[0, 0]:g}, fy {k[1, 1]:g}, cx {k[0, 2]:g}, cy {k[1, 2]:g}, "
        f"{camera.distortion_model} distortion"
    )
