"""A made-up world of points, seen by a camera without noise: what maps of loops are tested in.

An image is one row, the number of the view; a feature's descriptor is the name of its point.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.reports import Outcome, View
from msga_ros.loops.store import KeyframeStore
from msga_ros.two_view.pipeline import TwoViewPipeline

CAMERA = Camera.pinhole(400, 400, 320, 240, 640, 480)
NAMES = 1200


@dataclass
class World:
    """Points (N, 3) in metres with `names` (N,), and the true poses of the views, world to camera.

    It is the front end and the vocabulary, too; `asked` counts the pairs that were related.
    """

    points: np.ndarray
    names: np.ndarray
    views: list[Pose] = field(default_factory=list)
    asked: int = 0
    _pipeline: Any = None

    def extract(self, image: np.ndarray) -> Features:
        pose = self.views[int(image[0, 0]) * 256 + int(image[0, 1])]
        seen = self.points @ pose.rotation.T + pose.translation
        pixels = CAMERA.project(seen[:, :2] / np.maximum(seen[:, 2:], 1e-9))
        inside = (
            (seen[:, 2] > 0.3)
            & (seen[:, 2] < 15.0)
            & (pixels >= 0).all(1)
            & (pixels < [639, 479]).all(1)
        )
        count = int(inside.sum())
        return Features(
            pixels[inside].astype(np.float32),
            np.ones(count, np.float32),
            self.names[inside, None].astype(np.float32),
            (640, 480),
        )

    @property
    def length(self) -> int:
        return NAMES

    @property
    def identity(self) -> str:
        return "names"

    def describe(self, descriptors: np.ndarray) -> np.ndarray:
        """Which names an image shows."""
        found = np.bincount(descriptors[:, 0].astype(int) % NAMES, minlength=NAMES)
        return (found / max(float(np.linalg.norm(found)), 1.0)).astype(np.float32)

    def relate(self, features0: Any, features1: Any, *cameras: Camera, fewest: int = 0) -> Any:
        self.asked += 1
        if self._pipeline is None:
            self._pipeline = TwoViewPipeline.from_config(**{"sieve.name": "none"})
        names = [one.descriptors[:, 0] for one in (features0, features1)]
        _, rows0, rows1 = np.intersect1d(*names, return_indices=True)
        result = self._pipeline.relate_matches(
            features0.keypoints[rows0], features1.keypoints[rows1], *cameras
        )
        return replace(result, indices0=rows0, indices1=rows1)

    def view(self, number: int, stamp: float, odometry: Pose | None, **more: Any) -> View:
        image = np.array([[number // 256, number % 256]], np.uint8)
        return View(f"view {number}", stamp, image, CAMERA, odometry, **more)

    def mapper(self, store: KeyframeStore, **config: Any) -> LoopMapper:
        vocabulary: Any = self
        settings = LoopConfig(
            **{"min_gap": 5.0, "keyframe_distance": 0.3, "candidates": 3, **config}
        )
        return LoopMapper(store, self, vocabulary, settings)

    def play(self, mapper: LoopMapper, odometry: list[Pose], start: float = 0.0) -> list[Outcome]:
        """All views, a second apart."""
        return [
            mapper.add(self.view(number, start + number, pose))
            for number, pose in enumerate(odometry)
        ]


def ring(laps: float = 2.0, steps: int = 16, seed: int = 0) -> World:
    """A round room, walked around at 3 m from its middle, the wall in view at 6 to 9 m."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, NAMES), rng.uniform(6, 9, NAMES)
    points = np.stack(
        [radius * np.cos(angle), rng.uniform(-2, 2, NAMES), radius * np.sin(angle)], axis=1
    )
    views = []
    for number in range(round(laps * steps)):
        turn = 2 * np.pi * number / steps
        centre = 3 * np.array([np.cos(turn), 0, np.sin(turn)])
        forward = np.array([np.cos(turn), 0, np.sin(turn)])
        down = np.array([0.0, 1.0, 0.0])
        rotation = np.stack([np.cross(down, forward), down, forward])
        views.append(Pose(rotation, -rotation @ centre))
    return World(points, np.arange(NAMES), views)


def drifting(views: list[Pose], scale: float = 1.0, yaw_deg: float = 0.0) -> list[Pose]:
    """Odometry that begins with the truth: steps that are too long, and turn too much a metre."""
    found = [views[0]]
    for before, after in itertools.pairwise(views):
        step = after.relative_to(before)
        length = float(np.linalg.norm(step.translation))
        turn = rotation_matrix([0.0, np.deg2rad(yaw_deg) * length, 0.0])
        found.append(Pose(turn @ step.rotation, scale * step.translation).after(found[-1]))
    return found
