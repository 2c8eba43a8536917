"""Noiseless two-view samples, as augmentations take them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from msga_ros.network.evidence import EVIDENCE
from msga_ros.training.augmentation import Samples
from msga_ros.training.synthetic_scenes.draws import Draws, rotation_matrices


def drawing(seed: int) -> Draws:
    """Random numbers, the same at each call."""
    return Draws(torch.Generator().manual_seed(seed))


def true_samples(seed: int, count: int = 3) -> Samples:
    """40 noiseless matches each of random motions, and evidence of all kinds."""
    generator = np.random.default_rng(seed)
    axis = generator.normal(size=(count, 3))
    angle = generator.uniform(0, 0.4, (count, 1))
    rotation = turn(angle * axis / np.linalg.norm(axis, axis=1, keepdims=True))
    translation = generator.normal(size=(count, 3))
    translation /= np.linalg.norm(translation, axis=1, keepdims=True)
    points = generator.uniform((-2, -2, 4), (2, 2, 9), (count, 40, 3))
    moved = points @ rotation.numpy().transpose(0, 2, 1) + translation[:, None]
    matches = np.concatenate(
        (points[..., :2] / points[..., 2:], moved[..., :2] / moved[..., 2:]), 2
    )
    evidence = generator.uniform(0, 1, (count, 40, len(EVIDENCE)))
    return Samples(
        *map(torch.from_numpy, (matches, evidence)), rotation, torch.from_numpy(translation)
    )


def turn(vectors: object) -> Tensor:
    """Rotation matrices of rotation vectors `(..., 3)`, float64."""
    return rotation_matrices(torch.as_tensor(np.asarray(vectors, dtype=np.float64)))
