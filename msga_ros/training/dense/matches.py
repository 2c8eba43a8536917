"""Matches of a training batch that are refined: true ones, and those that the network finds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from msga_ros.network.dense.anchors import Anchors, cell_centres
from msga_ros.network.dense.assignment import Distributions
from msga_ros.network.dense.config import COARSE
from msga_ros.network.dense.net import starts
from msga_ros.training.dense.truth import CellTruth, point_truth
from msga_ros.training.dense.views import VISIBLE, DenseBatch
from msga_ros.training.synthetic_scenes.draws import Draws


@dataclass(frozen=True)
class Matches:
    """M matches of a batch: where they are, and what the coarse level says of them."""

    images: Tensor
    points0: Tensor
    guess1: Tensor
    coarse: tuple[Tensor, Tensor, Tensor]  # logarithm of the probability, similarity, margin
    structure: Tensor


def true_matches(
    anchors: Anchors,
    truth: CellTruth,
    eighth0: Tensor,
    batch: DenseBatch,
    most: int,
    draws: Draws,
) -> Matches:
    """Anchors whose partner is known, with guesses as the coarse level makes them: in the
    middle of the right cell or of one beside it."""
    images, cells = _some(truth.state == VISIBLE, most, draws)
    points0 = anchors.points[images, cells]
    known = point_truth(batch.target0, batch.state0, images, points0)
    images, cells, points0 = (one[known.visible] for one in (images, cells, points0))
    offset = points0 - cell_centres(cells, eighth0.shape[-1])
    middle = (COARSE - 1) / 2
    beside = draws.uniform(*points0.shape, low=-0.5, high=0.5)
    place = (known.places1[known.visible] - offset - middle) / COARSE + beside
    guess = place.round() * COARSE + middle + offset
    none = torch.zeros_like(points0[:, 0])
    return Matches(images, points0, guess, (none, none, none), none)


def found_matches(
    anchors: Anchors,
    found: Distributions,
    cells: list[Tensor],
    eighths: tuple[Tensor, Tensor],
    most: int,
    draws: Draws,
) -> Matches:
    """Matches as the network makes them: mutual nearest neighbours."""
    partner, is_mutual = mutual(found.rows, found.columns)
    unit = [torch.nn.functional.normalize(one, dim=-1) for one in cells]
    images, cells0 = _some(is_mutual, most, draws)
    at = (images, cells0, partner[images, cells0])
    cells1 = at[2]
    table = unit[0] @ unit[1].transpose(1, 2)
    similarity = table[at]
    two = table[images, cells0].topk(2, dim=1).values
    other = torch.where(similarity < two[:, 0], two[:, 0], two[:, 1])
    log_probability = found.rows[at] + found.columns[at]
    points0, guess1 = starts(anchors, cells0, cells1, *eighths, images)
    coarse = (log_probability, similarity, similarity - other)
    return Matches(images, points0, guess1, coarse, anchors.structure[images, cells0])


def _some(mask: Tensor, most: int, draws: Draws) -> tuple[Tensor, Tensor]:
    """Of `(B, N)` true entries, at most about `most` a sample: indices."""
    share = most / mask.sum(1, keepdim=True).clamp(min=1)
    images, cells = (mask & (draws.uniform(*mask.shape) < share)).nonzero().T
    return images, cells


def mutual(rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Of `(B, N, M)`: the best partner of each row, and whether that one's best is the row."""
    partner = rows.argmax(2)
    back = columns.argmax(1).gather(1, partner)
    return partner, back == torch.arange(rows.shape[1], device=rows.device)
