"""The detector-free matcher as a whole: two images to matches with confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from msga_ros.network.checkpoint import check_state
from msga_ros.network.dense.anchors import Anchors, cell_centres, find_anchors
from msga_ros.network.dense.assignment import Assignment, CoarseMatches
from msga_ros.network.dense.backbone import Backbone
from msga_ros.network.dense.confidence import ConfidenceHead, described
from msga_ros.network.dense.config import COARSE, DenseConfig
from msga_ros.network.dense.decoder import FineMaps, ProgressiveDecoder
from msga_ros.network.dense.folding import fold_normalisation
from msga_ros.network.dense.graph_attention import GraphInput, MultiLayerSparseGraphAttention


@dataclass(frozen=True)
class ImageFeatures:
    """What depends on one image alone, of a batch of one: it is kept for the next pair.

    15 MB of an image of 640 x 480 pixels.
    """

    graph: GraphInput
    anchors: Anchors
    maps: FineMaps


@dataclass(frozen=True)
class DenseMatches:
    """M matches of a pair: `points0`, `points1` `(M, 2)` pixels, `confidence` `(M,)` in [0, 1],
    `coarse`: which cells they are from."""

    points0: Tensor
    points1: Tensor
    confidence: Tensor
    coarse: CoarseMatches


class DenseMatcher(nn.Module):
    """All five modules but the losses."""

    def __init__(self, config: DenseConfig | None = None) -> None:
        super().__init__()
        self.config = config or DenseConfig()
        self.backbone = Backbone(self.config)
        self.graph = MultiLayerSparseGraphAttention(self.config)
        self.assignment = Assignment(self.config)
        self.decoder = ProgressiveDecoder(self.config)
        self.confidence = ConfidenceHead()

    @classmethod
    def load(cls, path: str | Path, changes: Mapping[str, object] | None = None) -> DenseMatcher:
        """From a checkpoint, for evaluation, on the CPU.

        `changes`: entries of the structure that shall differ, for ablations (fewer layers, edges
        of one kind, another assignment).

        Raises:
            CheckpointError: the file does not fit, or has not what the changes need.
            ValueError: an entry is out of range.
            TypeError: there is no such entry.
        """
        from msga_ros.network.dense.checkpoint import read_dense_checkpoint

        config, state = read_dense_checkpoint(path)
        net = cls(replace(config, **(changes or {})))  # type: ignore[arg-type]
        if changes:
            own = net.state_dict()
            state = {name: value for name, value in state.items() if name in own}
            check_state(net, state, str(path), "the changed structure")
        net.eval().load_state_dict(
            state, strict=False
        )  # checked: only counters of batches are missing
        # Channels last: convolutions at full resolution take half the time on a CPU.
        net.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return net.requires_grad_(False)

    def folded(self) -> DenseMatcher:
        """This one, a loaded one, with batch normalisation as a part of the convolutions: a little
        quicker. Its `state_dict` is no checkpoint any more."""
        fold_normalisation(self.backbone)
        self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self.requires_grad_(False)

    def features(self, image: Tensor, blocks: bool = True) -> ImageFeatures:
        """Of a grey image `(1, 1, H, W)`, sides multiples of 32. `blocks`: patches of pixels are
        read as blocks of memory, which graphs for other programs cannot."""
        pyramid = self.backbone(image.contiguous(memory_format=torch.channels_last))
        anchors = find_anchors(pyramid.full[:, :1], self.config.anchored)
        # The largest patch of the alignment has a radius of one more, for the derivatives.
        margin = 2 * self.config.patch_radius + 3 if blocks else 0
        return ImageFeatures(
            self.graph.prepare(pyramid.eighth), anchors, FineMaps.of(pyramid, margin)
        )

    def match(
        self, first: ImageFeatures, second: ImageFeatures, most: int | None = None
    ) -> DenseMatches:
        """Matches of two images, the surest first; `most`: refine only so many, by the coarse
        probability."""
        eighth0, eighth1 = self.graph.between(first.graph, second.graph)
        coarse = self.coarse_matches(eighth0, eighth1)
        if most is not None and len(coarse.cells0) > most:
            kept = coarse.log_probability.topk(most).indices.sort().values
            coarse = coarse.rows(kept)
        found = self.refined(first, second, (eighth0, eighth1), coarse)
        order = found.confidence.argsort(descending=True, stable=True)
        return DenseMatches(
            found.points0[order],
            found.points1[order],
            found.confidence[order],
            coarse.rows(order),
        )

    def coarse_matches(self, eighth0: Tensor, eighth1: Tensor) -> CoarseMatches:
        """From what the graph made of one pair, `(1, C, h, w)` each."""
        cells0, cells1 = (one[0].flatten(1).T for one in (eighth0, eighth1))
        return self.assignment.matches(cells0, cells1)

    def refined(
        self,
        first: ImageFeatures,
        second: ImageFeatures,
        eighths: tuple[Tensor, Tensor],
        coarse: CoarseMatches,
    ) -> DenseMatches:
        """Coarse matches refined and judged, in their order; `eighths`: what the graph made."""
        points0, guess1 = starts(first.anchors, coarse.cells0, coarse.cells1, *eighths)
        images = torch.zeros_like(coarse.cells0)
        refined = self.decoder(first.maps, second.maps, images, points0, guess1)
        seen = described(
            coarse.log_probability,
            coarse.similarity,
            coarse.margin,
            first.anchors.structure[0][coarse.cells0],
            (refined.quarter, refined.half),
            refined.aligned,
        )
        confidence = torch.sigmoid(self.confidence(seen))
        return DenseMatches(points0, refined.points1, confidence, coarse)


def starts(
    anchors: Anchors,
    cells0: Tensor,
    cells1: Tensor,
    eighth0: Tensor,
    eighth1: Tensor,
    images: Tensor | int = 0,
) -> tuple[Tensor, Tensor]:
    """Points `(M, 2)` of matched cells, and about where they are in image 1: as far from the
    middle of its cell there, inside of the image. `images`: which of the batch they are of."""
    points0 = anchors.points[images, cells0]
    height, width = eighth1.shape[-2:]
    guess1 = points0 - cell_centres(cells0, eighth0.shape[-1]) + cell_centres(cells1, width)
    x, y = guess1.unbind(1)
    limits = width * COARSE - 1, height * COARSE - 1
    return points0, torch.stack((x.clamp(0, limits[0]), y.clamp(0, limits[1])), 1)
