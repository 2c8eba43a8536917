"""The losses of a batch: matching distributions, refinement level by level, confidence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from msga_ros.network.dense.anchors import find_anchors
from msga_ros.network.dense.assignment import Distributions
from msga_ros.network.dense.confidence import described
from msga_ros.network.dense.decoder import FineMaps, Refined
from msga_ros.network.dense.losses import (
    band_divergence,
    confidence_loss,
    divergence,
    mean_where,
    offset_loss,
    sparse_divergence,
)
from msga_ros.network.dense.net import DenseMatcher
from msga_ros.network.dense.refinement import Search, true_distribution
from msga_ros.network.dense.sampling import FlatMap
from msga_ros.training.dense.matches import Matches, found_matches, mutual, true_matches
from msga_ros.training.dense.truth import CellTruth, cell_truth, epipolar_bands, point_truth
from msga_ros.training.dense.views import VISIBLE, DenseBatch
from msga_ros.training.synthetic_scenes.draws import Draws

_LEAST_MASS = 0.02  # of an epipolar band that holds a partner
_FEW = 32  # known cells of a pair
_NEAR = 3.0  # pixels: what the alignment can still correct


@dataclass(frozen=True)
class DenseLossConfig:
    """Weights of the parts, 0: left out, and what they are about."""

    coarse: float = 1.0  # divergence of the matching distributions at 1/8
    band: float = 0.5  # of those of which only the epipolar band is known
    fine: float = 0.5  # divergence of the windows at 1/4 and 1/2
    offset: float = 1.0  # of the aligned points
    confidence: float = 0.5
    band_px: float = 8.0
    correct_px: float = 3.0  # of a match that counts as true
    refined: int = 192  # matches of a pair that are refined, of each kind

    def __post_init__(self) -> None:
        weights = (self.coarse, self.band, self.fine, self.offset, self.confidence)
        if min(weights) < 0 or self.band_px <= 0 or self.correct_px <= 0 or self.refined < 1:
            raise ValueError("weights of the loss must not be negative, sizes must be positive")

    @property
    def refines(self) -> bool:
        """Whether any part is about more than the matching distributions at 1/8."""
        return bool(self.fine or self.offset or self.confidence)


class DenseLoss(nn.Module):
    """Network and loss as one module, as `training/step.py` wants it."""

    def __init__(
        self,
        net: DenseMatcher,
        config: DenseLossConfig,
        half_precision: bool,
        frozen: tuple[str, ...],
        fixed_statistics: tuple[str, ...] = (),
    ) -> None:
        """`frozen`: beginnings of names of modules, which stay as in evaluation;
        `fixed_statistics`: of those whose normalisation does."""
        super().__init__()
        self.net = net
        self.config = config
        self.half_precision = half_precision
        self.frozen = frozen
        self.fixed_statistics = fixed_statistics

    def train(self, mode: bool = True) -> DenseLoss:
        super().train(mode)
        for name, module in self.net.named_modules():
            fixed = isinstance(module, nn.BatchNorm2d) and name.startswith(self.fixed_statistics)
            if name and (fixed or name.startswith(self.frozen)):
                module.eval()
        return self

    def forward(self, iteration: int, *tensors: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What to minimise, and its parts."""
        batch = DenseBatch(*tensors)
        net, config = self.net, self.config
        # Of the iteration alone, so that a run that was cut off goes on as if it had not been.
        draws = Draws(torch.Generator(batch.image0.device).manual_seed(iteration))
        images = torch.cat((batch.image0, batch.image1))
        count = batch.samples
        pyramid = None
        with torch.autocast(
            batch.image0.device.type, dtype=torch.bfloat16, enabled=self.half_precision
        ):
            if config.refines:
                pyramid = net.backbone(images)
                eighth = pyramid.eighth
            else:
                eighth = net.backbone.coarse(images)
            eighth0, eighth1 = net.graph(eighth[:count], eighth[count:])
        cells = [one.float().flatten(2).transpose(1, 2) for one in (eighth0, eighth1)]
        distributions = net.assignment.distributions(*cells)
        truth0 = cell_truth(batch.target0, batch.state0)
        truth1 = cell_truth(batch.target1, batch.state1)
        parts = self._coarse(distributions, truth0, truth1, batch, eighth0.shape[-2:])
        if pyramid is None:
            return self._summed(parts, {})
        first, second = pyramid[:count], pyramid[count:]
        anchors = find_anchors(first.full[:, :1].float(), net.config.anchored)
        maps0, maps1 = FineMaps.of(first), FineMaps.of(second)
        with torch.no_grad():
            true = true_matches(anchors, truth0, eighth0, batch, config.refined, draws)
            found = found_matches(
                anchors, distributions, cells, (eighth0, eighth1), config.refined, draws
            )
            judged = net.decoder(maps0, maps1, found.images, found.points0, found.guess1)
        refined = net.decoder(maps0, maps1, true.images, true.points0, true.guess1)
        parts |= self._fine(true, refined, maps1, batch)
        parts["confidence"], figures = self._confidence(found, judged, batch)
        return self._summed(parts, figures)

    def _summed(
        self, parts: dict[str, Tensor], figures: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config
        weights = {
            "coarse": config.coarse,
            "band": config.band,
            "quarter": config.fine,
            "half": config.fine,
            "offset": config.offset,
            "confidence": config.confidence,
        }
        total = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
        return total, {name: part.detach() for name, part in {**parts, **figures}.items()}

    def _coarse(
        self,
        found: Distributions,
        truth0: CellTruth,
        truth1: CellTruth,
        batch: DenseBatch,
        shape: tuple[int, ...],
    ) -> dict[str, Tensor]:
        height, width = shape
        both = []
        directions = ((truth0, found.rows), (truth1, found.columns.transpose(1, 2)))
        for truth, log_predicted in directions:
            indices, shares = truth.shares(width, height)
            every = sparse_divergence(
                indices.flatten(0, 1), shares.flatten(0, 1), log_predicted.flatten(0, 1)
            )
            both.append(_mean_of_pairs(every.view_as(truth.state), truth.state == VISIBLE))
        coarse = (both[0] + both[1]) / 2
        bands = batch.fundamental.abs().amax((1, 2)) > 0
        band = coarse.new_zeros(())
        if self.config.band and bool(bands.any()):
            matrix = batch.fundamental[bands]
            inside = epipolar_bands(matrix, width, height, self.config.band_px)
            rows, columns = found.rows[bands], found.columns[bands]
            # Of cells that may have no partner, only those count that find each other.
            found0 = mutual(rows, columns)[1].flatten()
            back = inside.transpose(1, 2)
            directions_of_bands = (
                band_divergence(inside.flatten(0, 1), rows.flatten(0, 1), _LEAST_MASS),
                band_divergence(
                    back.flatten(0, 1), columns.transpose(1, 2).flatten(0, 1), _LEAST_MASS
                ),
            )
            found1 = mutual(columns.transpose(1, 2), rows.transpose(1, 2))[1].flatten()
            band = (
                mean_where(directions_of_bands[0], found0)
                + mean_where(directions_of_bands[1], found1)
            ) / 2
        return {"coarse": coarse, "band": band}

    def _fine(
        self, true: Matches, refined: Refined, maps1: FineMaps, batch: DenseBatch
    ) -> dict[str, Tensor]:
        places = point_truth(batch.target0, batch.state0, true.images, true.points0).places1
        parts = {}
        for name, search, at in (
            ("quarter", refined.quarter, maps1.quarter),
            ("half", refined.half, maps1.half),
        ):
            if search is not None:
                parts[name] = _window_loss(search, at, places)
        if refined.aligned is not None:
            aligned = refined.aligned.points1
            start = refined.half or refined.quarter
            before = true.guess1 if start is None else start.points1.detach()
            near = (before - places).norm(dim=1) < _NEAR
            parts["offset"] = offset_loss(aligned, places, near)
        return parts

    def _confidence(
        self, found: Matches, refined: Refined, batch: DenseBatch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        seen = described(
            *found.coarse, found.structure, (refined.quarter, refined.half), refined.aligned
        )
        logits = self.net.confidence(seen)
        truth = point_truth(batch.target0, batch.state0, found.images, found.points0)
        error = (refined.points1.detach() - truth.places1).norm(dim=1)
        correct = truth.visible & (error < self.config.correct_px)
        by_depth = truth.visible | truth.hidden
        # Without depth a match on its epipolar line counts as true: of the false ones a few per
        # cent are, by chance; to learn from those off the line alone would make all seem false.
        matrix = batch.fundamental[found.images]
        has_line = matrix.abs().amax((1, 2)) > 0
        on_line = has_line & (
            _line_distance(matrix, found, refined.points1) < self.config.correct_px
        )
        figures = {
            "correct": mean_where(correct.float(), by_depth),
            "on_line": mean_where(on_line.float(), has_line),
            "error_px": _median(torch.where(correct, error, torch.nan)),
        }
        true = torch.where(has_line, on_line, correct)
        return confidence_loss(logits, true, has_line | by_depth), figures


def _mean_of_pairs(values: Tensor, known: Tensor) -> Tensor:
    """Of `(B, N)` cells that are `known`: the mean of each pair's mean, so that a pair of which few
    cells are known counts as well; one with very few in proportion."""
    counts = known.sum(1)
    means = torch.where(known, values, 0.0).sum(1) / counts.clamp(min=_FEW)
    return mean_where(means, counts > 0)


def _window_loss(search: Search, at: FlatMap, places: Tensor) -> Tensor:
    radius = (round(search.log_probability.shape[1] ** 0.5) - 1) // 2
    target, inside = true_distribution(at.to_cells(places), search.middle, radius)
    # Cells outside of the image cannot be found.
    target = torch.where(torch.isinf(search.log_probability), torch.zeros_like(target), target)
    target = target / target.sum(1, keepdim=True).clamp(min=1e-6)
    return mean_where(divergence(target, search.log_probability), inside)


def _line_distance(fundamental: Tensor, found: Matches, points1: Tensor) -> Tensor:
    """`(M,)` pixels from the epipolar lines, 0 where there is none."""
    homogeneous = torch.nn.functional.pad(found.points0, (0, 1), value=1.0)
    lines = (fundamental @ homogeneous.unsqueeze(2)).squeeze(2)
    there = torch.nn.functional.pad(points1.detach(), (0, 1), value=1.0)
    return (lines * there).sum(1).abs() / lines[:, :2].norm(dim=1).clamp(min=1e-12)


def _median(values: Tensor) -> Tensor:
    """Of those that are numbers; zero where none is."""
    return values.nanmedian().nan_to_num() if len(values) else values.new_zeros(())
