"""What every sequence yields: frames of one camera, or of a left and a right one, with truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose

LEFT = "left"  # the camera of a mono sequence too
RIGHT = "right"


class SequenceError(ValueError):
    """A source that cannot be played; the message says which and why."""


@dataclass(frozen=True)
class Frame:
    """All views taken at one time; the keys are `left`, and `right` where there are two cameras.

    `stamp` is in seconds; `images` are uint8, (H, W) gray or (H, W, 3) BGR; `poses` is None where
    the truth is unknown. `depth`: that of the left view, registered to it, (H, W) float32 in metres
    along the optical axis, NaN for none; None where nobody asked for it.
    """

    stamp: float
    images: Mapping[str, NDArray[np.uint8]]
    cameras: Mapping[str, Camera]
    poses: Mapping[str, Pose] | None = None
    depth: NDArray[np.float32] | None = None


class Footage(Protocol):
    """Frames in order of time; may be iterated over more than once, images are made on demand."""

    @property
    def name(self) -> str:
        """Short name for messages and file names."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Frame]: ...


class Sequence(Footage, Protocol):
    """Footage of which it is known before how it is played."""

    @property
    def rate(self) -> float:
        """Frames per second at which it was taken (or a usual value where unknown)."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """`("left",)` or `("left", "right")`."""
        ...
