"""RGB-D frames as messages, and the truth about them: rendered, or of the shared data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from node.harness import camera_info, header

from msga_ros.datasets.sequences.base import LEFT, Frame, Sequence
from msga_ros.node.image_message import image_message
from msga_ros.tools.player_messages import depth_message

START_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class RgbdDrive:
    """`frames`: with depth and true poses; `later_ns` is added to their stamps."""

    frames: list[Frame]
    later_ns: int = 0

    @classmethod
    def of(cls, sequence: Sequence, count: int, later_ns: int = 0) -> RgbdDrive:
        return cls([frame for frame, _ in zip(sequence, range(count), strict=False)], later_ns)

    def stamp(self, number: int) -> int:
        """ns."""
        passed = self.frames[number].stamp - self.frames[0].stamp
        return START_NS + self.later_ns + round(passed * 1e9)

    def messages(self, number: int, depth: np.ndarray | None = None) -> dict[str, Any]:
        """A set by input name; `depth` (H, W), metres, in the place of its own."""
        frame, made = self.frames[number], header(self.stamp(number), "camera_optical")
        image, camera = frame.images[LEFT], frame.cameras[LEFT]
        measured = frame.depth if depth is None else depth
        assert measured is not None
        return {
            "image": image_message(image, made),
            "camera_info": camera_info(camera.k, image.shape[1::-1], made),
            "depth/image": depth_message(measured.astype(np.float32), made),
        }

    def moved(self, reference: int, current: int) -> tuple[np.ndarray, np.ndarray]:
        """True pose of the current camera in the reference one: R (3, 3), position (3,) m."""
        poses = [self.frames[number].poses for number in (reference, current)]
        assert poses[0] is not None and poses[1] is not None
        there = poses[1][LEFT].relative_to(poses[0][LEFT])
        return there.rotation.T, -there.rotation.T @ there.translation
