"""Photographs of posed collections, reduced, and which of them see something in common.

Without depth nobody knows what two images share; those whose optical axes are near each other
mostly do. That most pairs do is enough: what they are for forgives the rest.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from msga_ros.datasets.photographs.pack import Photograph, PhotographError
from msga_ros.datasets.posed.base import PosedImage, PosedScene
from msga_ros.datasets.posed.sources import open_scene

Pairs = list[tuple[int, int]]


@dataclass(frozen=True)
class PackingConfig:
    """Which photographs of a place are taken, at which size, and which make a pair."""

    longest: int = 480  # pixels of the longest side, at most
    most_images: int = 14  # of a place, spread evenly
    most_angle: float = 45.0  # degrees between the optical axes of a pair
    most_frames: int = 6  # between the images of a pair, where the place is a sequence


def photographs_of(
    folder: Path, config: PackingConfig, first: int = 0
) -> tuple[list[Photograph], Pairs]:
    """Of one place, in its order, and its pairs, images numbered from `first`.

    Raises `PhotographError` and `PosedImagesError`.
    """
    scene = open_scene(folder)
    step = max(1, -(-len(scene) // config.most_images))
    taken = scene.images[::step]
    axes = [image.pose.rotation[2] for image in taken]
    least = np.cos(np.deg2rad(config.most_angle))
    pairs = [
        (first + i, first + j)
        for i, j in itertools.combinations(range(len(taken)), 2)
        if (scene.unordered or j - i <= config.most_frames)
        and (not scene.pairs_only or taken[i].group == taken[j].group)
        and axes[i] @ axes[j] >= least
        and np.any(taken[i].pose.centre != taken[j].pose.centre)
    ]
    return [_reduced(image, scene, config.longest) for image in taken], pairs


def _reduced(image: PosedImage, scene: PosedScene, longest: int) -> Photograph:
    grey = cv2.imread(str(image.path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise PhotographError(f"{image.path}: not a readable image")
    if image.camera.distortion.any():
        raise PhotographError(f"{image.path}: its camera has a distortion; undistort it first")
    height, width = grey.shape
    scale = min(1.0, longest / max(height, width))
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    # The edges of both images fall together, not the centres of their first pixels.
    from_corner = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    shrink = np.diag([size[0] / width, size[1] / height, 1.0])
    camera = np.linalg.inv(from_corner) @ shrink @ from_corner @ image.camera.k
    pose = image.pose
    return Photograph(
        np.asarray(small, np.uint8), camera, pose.rotation, pose.translation, scene.name
    )
