"""A pipeline that finds what it is told to, and results with a known geometry."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.two_view.pipeline import Counts, Status, TwoViewResult

SIZE = (640, 480)
CAMERA = Camera.pinhole(500.0, 510.0, 320.0, 240.0, *SIZE)


def make_features(count: int, size: tuple[int, int] = SIZE) -> Features:
    """`count` keypoints on a grid."""
    keypoints = np.column_stack([np.arange(count) % 600, np.arange(count) // 600])
    return Features(
        keypoints.astype(np.float32), np.ones(count, np.float32), np.zeros((count, 4)), size
    )


def make_result(
    count: int = 100,
    inliers: int = 80,
    parallax_deg: float = 1.0,
    status: Status = Status.OK,
    rotation: np.ndarray | None = None,
    translation: np.ndarray | None = None,
    **fields: Any,
) -> TwoViewResult:
    """A result whose first `inliers` of `count` matches hold; feature i matches feature i."""
    known = status is not Status.TOO_FEW_MATCHES
    nan = np.full((6, 6), np.nan)
    values: dict[str, Any] = {
        "keypoints0": make_features(count).keypoints,
        "keypoints1": make_features(count).keypoints + 1,
        "indices0": np.arange(count),
        "indices1": np.arange(count),
        "inlier": np.arange(count) < inliers,
        "inlier_probability": np.linspace(1, 0, count, dtype=np.float32),
        "essential": np.eye(3) / np.sqrt(3) if known else nan[:3, :3],
        "rotation": (np.eye(3) if rotation is None else rotation) if known else nan[:3, :3],
        "translation": (np.array([1.0, 0, 0]) if translation is None else translation)
        if known
        else nan[0, :3],
        "covariance": np.diag([0.0, 1e-4, 2e-4, 1e-6, 1e-6, 1e-6]) if known else nan,
        "status": status,
        "median_parallax": np.radians(parallax_deg) if known else np.nan,
        "counts": Counts(count, count, count, inliers, inliers),
        "timings": {"match": 1.0, "network": 2.0, "pose": 0.5},
    }
    return TwoViewResult(**{**values, **fields})


@dataclass
class FakePipeline:
    """Remembers every call; a black image has no features."""

    features: int = 100
    results: list[TwoViewResult] = field(default_factory=list)
    extracted: list[np.ndarray] = field(default_factory=list)
    related: list[tuple[Features, Features, Camera, Camera]] = field(default_factory=list)
    asked_second: list[bool] = field(default_factory=list)

    def follow(self, previous: Features | None, image: np.ndarray) -> Features:
        return self.extract(image)

    def beside(self, left: Features, image: np.ndarray) -> Features:
        return self.extract(image)

    def extract(self, image: np.ndarray) -> Features:
        self.extracted.append(image)
        height, width = image.shape[:2]
        return make_features(self.features if image.any() else 0, (width, height))

    def relate(self, *views: Any, ask_second: bool = True) -> TwoViewResult:
        self.related.append(views)
        self.asked_second.append(ask_second)
        few = min(len(views[0]), len(views[1])) == 0
        if few:
            return make_result(0, 0, status=Status.TOO_FEW_MATCHES)
        return self.results.pop(0) if self.results else make_result()


def raw_header(ns: int, frame_id: str) -> SimpleNamespace:
    """A header without ROS."""
    sec, nanosec = divmod(ns, 1_000_000_000)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id=frame_id)


def raw_image(
    ns: int, frame_id: str = "camera", value: int = 90, size: tuple[int, int] = SIZE
) -> SimpleNamespace:
    """A mono8 image message of one grey value, without ROS."""
    width, height = size
    return SimpleNamespace(
        header=raw_header(ns, frame_id),
        width=width,
        height=height,
        encoding="mono8",
        is_bigendian=0,
        step=width,
        data=bytes([value]) * (width * height),
    )


def raw_info(ns: int, frame_id: str = "camera", **fields: Any) -> SimpleNamespace:
    """A camera_info message without ROS, of `CAMERA`."""
    k = CAMERA.k.ravel().tolist()
    p = np.hstack([CAMERA.k, np.zeros((3, 1))]).ravel().tolist()
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    values = {
        "header": raw_header(ns, frame_id),
        "width": SIZE[0],
        "height": SIZE[1],
        "distortion_model": "plumb_bob",
        "d": [0.0] * 5,
        "k": k,
        "r": np.eye(3).ravel().tolist(),
        "p": p,
        "binning_x": 0,
        "binning_y": 0,
        "roi": roi,
    }
    return SimpleNamespace(**{**values, **fields})
