"""A running node, real views of one camera with their true pose, and a client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msga_ros.geometry.camera import Camera

PARAMETERS = {
    "mode": "temporal",
    "frontend.max_keypoints": 600,
    "publish.diagnostics_period": 0.1,
    "requests.matches_in": True,
    "requests.features_in": True,
}


@dataclass(frozen=True)
class Views:
    """Two grey images with their cameras, and the true `x1 = R x0 + t`."""

    images: tuple[np.ndarray, np.ndarray]
    cameras: tuple[Camera, Camera]
    rotation: np.ndarray
    translation: np.ndarray


@pytest.fixture(scope="session")
def views(kitti: Path) -> Views:
    """Two frames of one camera, 1 s apart."""
    from node.scenes import StereoSequence

    sequence = StereoSequence(kitti)
    frames = (0, 4)
    images = tuple(sequence.pixels(frame, "left") for frame in frames)
    cameras = tuple(
        Camera(sequence.k(frame, "left"), width=image.shape[1], height=image.shape[0])
        for frame, image in zip(frames, images, strict=True)
    )
    (rotation0, t0), (rotation1, t1) = (sequence.pose(frame, "left") for frame in frames)
    rotation = rotation1 @ rotation0.T
    return Views(images, cameras, rotation, t1 - rotation @ t0)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(trained_weights: Path) -> Iterator[Any]:
    """A node that nobody listens to."""
    from node.harness import TEMPORAL, NodeProcess

    with NodeProcess(
        TEMPORAL, {**PARAMETERS, "network.weights": trained_weights}, listen=False
    ) as running:
        yield running
