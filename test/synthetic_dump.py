"""Small dumps in the published layout with known motions, and a network with random weights."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import torch
from two_view_scene import random_scene

from msga_ros.datasets.compact import EVIDENCE_GROUPS
from msga_ros.datasets.dumps import Pair, true_residual
from msga_ros.network import MSGANet, MSGANetConfig, save_checkpoint

FOCAL = 1000.0  # pixels


def synthetic_pair(
    seed: int, matches: int = 300, outliers: float = 0.6, noise_px: float = 0.3
) -> Pair:
    """A pair whose ratio test tells most of the outliers, as that of real matches does.

    A tenth of the outliers passes it, a tenth of the true matches does not.
    """
    scene = random_scene(seed, matches, noise=noise_px / FOCAL, outliers=outliers)
    generator = np.random.default_rng(1000 + seed)
    odd = generator.random(matches) < 0.1
    ratios = np.where(scene.outlier ^ odd, 0.95, 0.5)
    correspondences = scene.correspondences.astype(np.float32)
    return Pair(
        name=f"scene{seed % 2} a{seed}.jpg b{seed}.jpg",
        correspondences=correspondences,
        residual=true_residual(correspondences, scene.rotation, scene.translation),
        rotation=scene.rotation,
        translation=scene.translation,
        ratios=ratios.astype(np.float32),
        mutuals=ratios < 0.9,
        focal0=np.array([FOCAL, FOCAL]),
        focal1=np.array([FOCAL, FOCAL]),
    )


def write_dump(path: Path, pairs: list[Pair], focal: bool = True) -> Path:
    """Write the pairs in the published layout; `focal` False leaves out `f1s`, `f2s`."""
    with h5py.File(path, "w") as file:
        for index, pair in enumerate(pairs):
            key = str(index)
            file[f"xs/{key}"] = pair.correspondences[None]
            file[f"ys/{key}"] = pair.residual[:, None]
            file[f"Rs/{key}"] = pair.rotation
            file[f"ts/{key}"] = pair.translation[:, None]
            file[f"ratios/{key}"] = pair.ratios
            file[f"mutuals/{key}"] = pair.mutuals.astype(np.float32)
            for group in EVIDENCE_GROUPS:
                if (known := getattr(pair, group)) is not None:
                    file[f"{group}/{key}"] = known
            if focal:
                file[f"f1s/{key}"] = pair.focal0[None]
                file[f"f2s/{key}"] = pair.focal1[None]
        file["names"] = np.array([pair.name for pair in pairs], dtype=h5py.string_dtype())
    return path


def random_network(path: Path, seed: int = 0) -> Path:
    """A checkpoint of a small network that was never trained."""
    torch.manual_seed(seed)
    config = MSGANetConfig(channels=32, grid=4, residual_blocks=1, msformer_layers=1)
    save_checkpoint(path, config, MSGANet(config).state_dict())
    return path
