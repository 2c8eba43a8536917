"""Training batches of pairs of views: a function of (seed, iteration) alone."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from msga_ros.datasets.photographs.pack import (
    Photograph,
    PhotographError,
    Photographs,
    TaughtPair,
    read_photographs,
)
from msga_ros.network.dense.backbone import MULTIPLE
from msga_ros.training.dense.band_pairs import band_pairs
from msga_ros.training.dense.depth_pairs import depth_pairs
from msga_ros.training.dense.homographies import homography_pairs
from msga_ros.training.dense.photometric import photographed
from msga_ros.training.dense.taught_pairs import Lessons, taught_pairs
from msga_ros.training.dense.views import Album, DenseBatch
from msga_ros.training.synthetic_scenes.draws import Draws

_NEEDED = ("photographs", "with_depth", "photographs", "photographs")  # of each kind of pair
_TAUGHT = 3


@dataclass(frozen=True)
class DenseBatchConfig:
    """What a batch is made of; paths are files of `scripts/pack_photographs.py`."""

    photographs: tuple[str, ...] = ()  # with poses, without depth
    with_depth: tuple[str, ...] = ()  # as large as the views
    pairs: int = 8  # in a batch
    width: int = 320
    height: int = 256
    # How often a pair is of each kind: homographies, depth, epipolar band, a teacher's.
    shares: tuple[float, ...] = (0.5, 0.5, 0.0, 0.0)
    homography_strength: float = 1.0  # how much views differ: times turn, scale, tilt, stretch
    roll_deg: float = 0.0  # half of the second views, but those with depth, turn by up to that
    photometric: bool = True

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise ValueError(f"pairs must be at least 1, not {self.pairs}")
        if self.width % MULTIPLE or self.height % MULTIPLE or min(self.width, self.height) <= 0:
            # A view may have any size; the last row of cells of others would be cut off.
            raise ValueError(
                f"width and height must be multiples of {MULTIPLE}, "
                f"not {self.width} and {self.height}"
            )
        if not 1 <= len(self.shares) <= len(_NEEDED):
            raise ValueError(f"there are {len(_NEEDED)} shares at most, not {len(self.shares)}")
        if not 0 < self.homography_strength <= 3:
            raise ValueError(
                f"homography_strength must be from 0 to 3, not {self.homography_strength}"
            )
        if not 0 <= self.roll_deg <= 180:
            raise ValueError(f"roll_deg must be from 0 to 180, not {self.roll_deg}")
        if min(self.shares) < 0 or sum(self.shares) <= 0:
            raise ValueError(f"shares must not be negative, nor all zero, not {self.shares}")
        for share, entry in zip(self.shares, _NEEDED, strict=False):
            if share and not getattr(self, entry):
                raise ValueError(f"shares {self.shares} need {entry}")


class DenseBatchSource:
    """Makes batches on `device`. `PhotographError` for a file that it cannot read."""

    def __init__(
        self, config: DenseBatchConfig, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.config = config
        self.seed = seed
        self.device = torch.device(device)
        photographs = _read(config.photographs)
        self._photographs = _album(photographs, self.device)
        self._with_depth = _album(_read(config.with_depth), self.device)
        self._lessons = None
        if len(config.shares) > _TAUGHT and config.shares[_TAUGHT]:
            if photographs is None or not photographs.taught:
                raise PhotographError(f"{config.photographs}: no pairs with a teacher's matches")
            self._lessons = Lessons.of(photographs.taught, self.device)
        if self._with_depth is not None:
            smallest = self._with_depth[0].sizes.amin(0).tolist()
            if smallest[0] < config.width or smallest[1] < config.height:
                raise ValueError(
                    f"with_depth: an image is smaller ({smallest[0]}x{smallest[1]}) than the views"
                )

    def batch(self, iteration: int) -> DenseBatch:
        """The batch of one iteration."""
        config = self.config
        host = np.random.default_rng((self.seed, iteration))
        draws = Draws(torch.Generator(self.device).manual_seed(int(host.integers(2**62))))
        shares = np.array(config.shares) / sum(config.shares)
        counts = [*host.multinomial(config.pairs, shares).tolist(), 0, 0, 0]
        of_homographies, of_depth, of_bands, of_lessons = counts[: len(_NEEDED)]
        size = (config.height, config.width)
        roll = math.radians(config.roll_deg)
        parts = []
        if of_homographies and self._photographs:
            strength = config.homography_strength
            parts.append(
                homography_pairs(
                    self._photographs[0], of_homographies, *size, draws, strength, roll
                )
            )
        if of_depth and self._with_depth:
            parts.append(depth_pairs(*self._with_depth, of_depth, *size, draws))
        if of_bands and self._photographs:
            parts.append(band_pairs(*self._photographs, of_bands, *size, draws, roll))
        if of_lessons and self._photographs and self._lessons:
            parts.append(
                taught_pairs(self._photographs[0], self._lessons, of_lessons, *size, draws, roll)
            )
        batch = DenseBatch.joined(parts)
        if not config.photometric:
            return batch
        return dataclasses.replace(
            batch,
            image0=photographed(batch.image0, draws),
            image1=photographed(batch.image1, draws),
        )


def _read(paths: tuple[str, ...]) -> Photographs | None:
    """The images of all files, numbered on, with their pairs."""
    images: tuple[Photograph, ...] = ()
    taught: tuple[TaughtPair, ...] = ()
    pairs = []
    for path in paths:
        found = read_photographs(path)
        first = len(images)
        pairs.append(found.pairs + first)
        taught += tuple(
            TaughtPair(one.first + first, one.second + first, one.matches) for one in found.taught
        )
        images += found.images
    return Photographs(images, np.concatenate(pairs), taught) if images else None


def _album(found: Photographs | None, device: torch.device) -> tuple[Album, Tensor] | None:
    """The images, and their pairs `(P, 2)`."""
    if found is None:
        return None
    return Album.of(found.images, device), torch.from_numpy(found.pairs).to(device)
