"""A rig that drives past known points, and the messages that a node would publish about it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from msga_ros.geometry.camera import Camera

CAMERA = Camera.pinhole(500.0, 510.0, 320.0, 240.0, 640, 480)
FISHEYE = Camera(CAMERA.k, "equidistant", np.array([0.05, -0.01, 0.002, 0.0]), 640, 480)
BASELINE = 0.3
START_NS = 1_000_000_000_123_456_789
PERIOD_NS = 100_000_000
LATER_NS = 2_000_000  # cameras without a common trigger: the right image is from after the left one
SPEED = np.array([0.4, 0.0, 1.5])  # m/s, in the axes of the left camera


class Scene:
    """`points` (N, 3) in the left camera at time 0; it moves straight on without turning."""

    def __init__(self, count: int = 60, camera: Camera = CAMERA, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.points = rng.uniform([-3, -2, 6], [3, 2, 14], (count, 3))
        self.camera = camera

    def stamp(self, frame: int) -> int:
        return START_NS + frame * PERIOD_NS

    def in_view(self, frame: int, right: bool = False) -> np.ndarray:
        """The points in a camera's frame."""
        centre = SPEED * frame * PERIOD_NS * 1e-9 + [BASELINE * right, 0, 0]
        return self.points - centre

    def normalised(self, frame: int, right: bool = False) -> np.ndarray:
        points = self.in_view(frame, right)
        return points[:, :2] / points[:, 2:]

    def pixels(self, frame: int, right: bool = False) -> np.ndarray:
        return self.camera.project(self.normalised(frame, right))

    def stereo(self, frame: int, **fields: Any) -> SimpleNamespace:
        views = (self.pixels(frame), self.pixels(frame, True))
        stamps = (self.stamp(frame), self.stamp(frame) + LATER_NS)
        return self._message(0, views, stamps, ("left", "right"), fields)

    def temporal(self, frame0: int, frame1: int, **fields: Any) -> SimpleNamespace:
        views = (self.pixels(frame0), self.pixels(frame1))
        stamps = (self.stamp(frame0), self.stamp(frame1))
        return self._message(1, views, stamps, ("left", "left"), fields)

    def _message(
        self,
        pairing: int,
        views: tuple[np.ndarray, np.ndarray],
        stamps: tuple[int, int],
        names: tuple[str, str],
        fields: dict[str, Any],
    ) -> SimpleNamespace:
        """`Correspondences` with one outlier and one match without a track at its end."""
        count = len(self.points)
        ids = np.arange(1, count + 1, dtype=np.uint64)
        ids[-1] = 0
        inlier = np.ones(count, dtype=bool)
        inlier[-2] = False
        values = {
            "header": header(stamps[1], names[1]),
            "reference_header": header(stamps[0], names[0]),
            "pairing": pairing,
            "reference_k": self.camera.k.ravel(),
            "k": self.camera.k.ravel(),
            "rectified": self.camera.distortion_model == "none",
            "reference_points": views[0].astype(np.float32).ravel(),
            "points": views[1].astype(np.float32).ravel(),
            "inlier_probability": np.linspace(1, 0.6, count, dtype=np.float32),
            "inlier": inlier,
            "track_ids": ids,
        }
        return SimpleNamespace(**{**values, **fields})


def header(stamp_ns: int, frame_id: str) -> SimpleNamespace:
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id=frame_id)
