"""Frames of the shared scenes as messages, and the truth about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from node.harness import camera_info, header

from msga_ros.node.image_message import image_message


class StereoSequence:
    """A rectified stereo sequence in the `scene.json` layout."""

    def __init__(self, folder: Path, size: tuple[int, int] | None = None) -> None:
        self._folder = folder
        document = json.loads((folder / "scene.json").read_text())
        self._images = {(one["frame"], one["cam"]): one for one in document["images"]}
        self.start_ns = 1_700_000_000_000_000_000
        self.baseline = float(
            np.linalg.norm(np.subtract(self._images[0, "right"]["t"], self._images[0, "left"]["t"]))
        )

    def stamp(self, frame: int) -> int:
        """Stamp of a frame, ns."""
        return self.start_ns + round(self._images[frame, "left"]["timestamp"] * 1e9)

    def pixels(self, frame: int, cam: str) -> np.ndarray:
        """(H, W) uint8."""
        path = self._folder / "images" / self._images[frame, cam]["file"]
        return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)

    def size(self, frame: int, cam: str) -> tuple[int, int]:
        """(width, height) in pixels."""
        one = self._images[frame, cam]
        return one["width"], one["height"]

    def k(self, frame: int, cam: str) -> np.ndarray:
        """(3, 3) pixels."""
        return np.array(self._images[frame, cam]["K"])

    def messages(
        self, frame: int, cam: str, prefix: str, stamp: int | None = None
    ) -> dict[str, Any]:
        """Image and camera_info of one camera by input name."""
        one = self._images[frame, cam]
        made = header(self.stamp(frame) if stamp is None else stamp, f"{cam}_optical")
        pixels = self.pixels(frame, cam)
        baseline = self.baseline if cam == "right" else 0.0
        info = camera_info(np.array(one["K"]), (one["width"], one["height"]), made, baseline)
        return {
            f"{prefix}image": image_message(pixels, made),
            f"{prefix}camera_info": info,
        }

    def stereo(self, frame: int, stamp: int | None = None) -> dict[str, Any]:
        """A complete stereo set by input name."""
        return {
            **self.messages(frame, "left", "left/", stamp),
            **self.messages(frame, "right", "right/", stamp),
        }

    def pose(self, frame: int, cam: str) -> tuple[np.ndarray, np.ndarray]:
        """World to camera: R (3, 3), t (3,)."""
        one = self._images[frame, cam]
        return np.array(one["R"]), np.array(one["t"])

    def current_in_reference(
        self, reference: tuple[int, str], current: tuple[int, str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The true pose of the current camera in the reference camera's frame."""
        rotation0, t0 = self.pose(*reference)
        rotation1, t1 = self.pose(*current)
        rotation = rotation0 @ rotation1.T
        return rotation, t0 - rotation @ t1


def transform_of(message: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and translation (3,) of a `geometry_msgs/Transform`."""
    q, t = message.rotation, message.translation
    x, y, z, w = q.x, q.y, q.z, q.w
    assert abs(x * x + y * y + z * z + w * w - 1) < 1e-6
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return rotation, np.array([t.x, t.y, t.z])


def rotation_error_deg(rotation: np.ndarray, truth: np.ndarray) -> float:
    """Angle between two rotations, degrees."""
    cosine = (np.trace(rotation @ truth.T) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def direction_error_deg(translation: np.ndarray, truth: np.ndarray) -> float:
    """Angle between two translations, degrees, sign included: 180 for the opposite direction."""
    norms = np.linalg.norm(translation) * np.linalg.norm(truth)
    return float(np.degrees(np.arccos(np.clip(translation @ truth / norms, -1, 1))))
