"""Training batches of pairs of views: a function of (seed, iteration) alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from msga_ros.datasets.photographs.pack import Photograph, read_photographs
from msga_ros.network.dense.backbone import MULTIPLE
from msga_ros.training.dense.band_pairs import band_pairs
from msga_ros.training.dense.depth_pairs import depth_pairs
from msga_ros.training.dense.homographies import homography_pairs
from msga_ros.training.dense.photometric import photographed
from msga_ros.training.dense.views import Album, DenseBatch
from msga_ros.training.synthetic_scenes.draws import Draws


@dataclass(frozen=True)
class DenseBatchConfig:
    """What a batch is made of; paths are files of `scripts/pack_photographs.py`."""

    photographs: tuple[str, ...] = ()  # with poses, without depth
    with_depth: tuple[str, ...] = ()  # as large as the views
    pairs: int = 8  # in a batch
    width: int = 320
    height: int = 256
    # How often a pair is of each kind: homographies, depth, epipolar band.
    shares: tuple[float, float, float] = (0.5, 0.5, 0.0)
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
        if min(self.shares) < 0 or sum(self.shares) <= 0:
            raise ValueError(f"shares must not be negative, nor all zero, not {self.shares}")
        needed = ("photographs", "with_depth", "photographs")
        for share, entry in zip(self.shares, needed, strict=True):
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
        self._photographs = _album(config.photographs, self.device)
        self._with_depth = _album(config.with_depth, self.device)
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
        of_homographies, of_depth, of_bands = host.multinomial(config.pairs, shares).tolist()
        size = (config.height, config.width)
        parts = []
        if of_homographies and self._photographs:
            parts.append(homography_pairs(self._photographs[0], of_homographies, *size, draws))
        if of_depth and self._with_depth:
            parts.append(depth_pairs(*self._with_depth, of_depth, *size, draws))
        if of_bands and self._photographs:
            parts.append(band_pairs(*self._photographs, of_bands, *size, draws))
        batch = DenseBatch.joined(parts)
        if not config.photometric:
            return batch
        return dataclasses.replace(
            batch,
            image0=photographed(batch.image0, draws),
            image1=photographed(batch.image1, draws),
        )


def _album(paths: tuple[str, ...], device: torch.device) -> tuple[Album, Tensor] | None:
    """All images of the files, and their pairs `(P, 2)`."""
    images: tuple[Photograph, ...] = ()
    pairs = []
    for path in paths:
        found = read_photographs(path)
        pairs.append(found.pairs + len(images))
        images += found.images
    if not images:
        return None
    return Album.of(images, device), torch.from_numpy(np.concatenate(pairs)).to(device)
