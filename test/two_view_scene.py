"""Two-view problems with a known answer: random ones, and pairs of the validation dump."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import h5py
import numpy as np
from scipy.spatial.transform import Rotation
from shared_data import shared_path


@dataclass(frozen=True)
class TwoViewScene:
    """Matches `(N, 2)` in normalised coordinates of points `(N, 3)` under `x1 = R x0 + t`."""

    points0: np.ndarray
    points1: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray  # unit
    points3d: np.ndarray  # in camera 0; unknown (empty) for real pairs
    outlier: np.ndarray  # (N,) bool

    @property
    def correspondences(self) -> np.ndarray:
        return np.hstack([self.points0, self.points1])


def random_scene(
    seed: int,
    count: int = 100,
    noise: float = 0.0,
    outliers: float = 0.0,
    depth: tuple[float, float] = (3.0, 8.0),
    angle: float = 0.3,
) -> TwoViewScene:
    """Points all over a view of 60 degrees, a rotation of `angle` rad, a unit translation.

    `noise` is the standard deviation of each coordinate, `outliers` the share of matches whose
    second point is drawn anew. `depth` is in baselines, so it sets the parallax.
    """
    rng = np.random.default_rng(seed)
    axis, translation = rng.normal(size=(2, 3))
    rotation = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_matrix()
    translation /= np.linalg.norm(translation)
    z = rng.uniform(*depth, size=count)
    points3d = np.column_stack([rng.uniform(-0.55, 0.55, (count, 2)) * z[:, None], z])
    in_second = points3d @ rotation.T + translation
    assert (in_second[:, 2] > 0).all()
    points0 = points3d[:, :2] / points3d[:, 2:] + noise * rng.normal(size=(count, 2))
    points1 = in_second[:, :2] / in_second[:, 2:] + noise * rng.normal(size=(count, 2))
    outlier = np.arange(count) < round(outliers * count)
    points1[outlier] = rng.uniform(-0.6, 0.6, (int(outlier.sum()), 2))
    return TwoViewScene(points0, points1, rotation, translation, points3d, outlier)


@dataclass(frozen=True)
class RealPair:
    """A pair of the validation dump; `residual` is `(N,)`, `ratio` `(N,)`, `focal` in pixels."""

    correspondences: np.ndarray
    residual: np.ndarray
    ratio: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    focal: float


def real_pairs(count: int) -> Iterator[RealPair]:
    """`count` pairs spread over `val.h5`; skips the test where the file is absent."""
    with h5py.File(shared_path("data/val.h5")) as dump:
        for index in np.linspace(0, len(dump["xs"]) - 1, count).astype(int):
            key = str(index)
            yield RealPair(
                dump["xs"][key][0].astype(np.float64),
                dump["ys"][key][:, 0].astype(np.float64),
                dump["ratios"][key][:].ravel(),
                dump["Rs"][key][:].astype(np.float64),
                dump["ts"][key][:, 0].astype(np.float64),
                float(np.mean([dump["f1s"][key][:], dump["f2s"][key][:]])),
            )
