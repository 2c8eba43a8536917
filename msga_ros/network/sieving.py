"""Sieving module: scores every match twice and keeps the better half."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn

from msga_ros.network.config import MSGANetConfig
from msga_ros.network.graph import AnnularConvolution, nearest_neighbours
from msga_ros.network.layers import BatchNorm, ResidualBlock, ResidualStack, folded, relu
from msga_ros.network.msformer import GlobalContext
from msga_ros.network.sdgi import FeatureSum, SparseDynamicGraphInteraction
from msga_ros.network.shapes import fixed_shapes


@dataclass(frozen=True)
class Sieved:
    """What a sieving module says of `(B, N, *)` matches.

    Attributes:
        score0, score1: `(B, N)` logits, before and after the global context.
        kept: `(B, K)` indices into the module's input, best first; padded with 0.
        kept_valid: `(B, K)` bool, or None where nothing is padded.
        features: `(B, K, C)` of the kept matches.
    """

    score0: Tensor
    score1: Tensor
    kept: Tensor
    kept_valid: Tensor | None
    features: Tensor


class SievingModule(nn.Module):
    """Source: Gong et al., MSGA-Net, TCSVT 2024, section III-B."""

    def __init__(self, config: MSGANetConfig, inputs: int, neighbours: int) -> None:
        super().__init__()
        channels = config.channels
        self.keep = config.keep
        self.neighbours = neighbours
        self.embed = nn.Linear(inputs, channels)
        self.embed_norm: BatchNorm | None = BatchNorm(channels)
        self.residual0 = ResidualStack(channels, config.residual_blocks)
        self.annular = AnnularConvolution(channels, neighbours)
        self.residual1 = ResidualStack(channels, config.residual_blocks)
        self.interaction0 = _interaction(config)
        self.head0 = nn.Linear(channels, 1)
        self.context: GlobalContext | None = None
        if config.context:
            self.context = GlobalContext(
                channels, config.grid, config.msformer_layers, config.heads, config.gate
            )
        self.interaction1 = _interaction(config)
        self.dynamic_graphs = config.dynamic_graphs
        self.residual2 = ResidualBlock(channels)
        self.head1 = nn.Linear(channels, 1)

    def forward(self, inputs: Tensor, valid: Tensor | None) -> Sieved:
        """Score `(B, N, inputs)` matches and keep the best."""
        # Half precision around it is for features: coordinates would be rounded to whole pixels.
        with torch.autocast(inputs.device.type, enabled=False):
            embedded = self.embed(inputs)
        if self.embed_norm is not None:
            embedded = self.embed_norm(embedded, valid)
        shallow = self.residual0(relu(embedded), valid)
        graph1 = nearest_neighbours(shallow, self.neighbours, valid)
        deep = self.residual1(self.annular(shallow, graph1, valid), valid)
        graph2 = self._next_graph(graph1, deep, valid)
        features = self.interaction0(shallow, graph1, deep, graph2, valid)
        score0 = self.head0(features).squeeze(-1)

        context = features if self.context is None else self.context(features, valid)
        graph3 = self._next_graph(graph2, context, valid)
        features = self.interaction1(deep, graph2, context, graph3, valid)
        features = self.residual2(features, valid)
        score1 = self.head1(features).squeeze(-1)

        kept, kept_valid = best_share(score1, self.keep, valid)
        return Sieved(score0, score1, kept, kept_valid, take(features, kept))

    def _next_graph(self, graph: Tensor, features: Tensor, valid: Tensor | None) -> Tensor:
        """The graph `(B, N, k)` on new features, or the old one where graphs are not dynamic."""
        return (
            nearest_neighbours(features, self.neighbours, valid) if self.dynamic_graphs else graph
        )

    def fold(self) -> None:
        """Merge the batch norms that follow linear layers into them; for inference only."""
        if self.embed_norm is not None:
            self.embed = folded(self.embed, self.embed_norm)
            self.embed_norm = None


def _interaction(config: MSGANetConfig) -> SparseDynamicGraphInteraction | FeatureSum:
    return SparseDynamicGraphInteraction(config.channels) if config.interaction else FeatureSum()


def best_share(score: Tensor, share: float, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Indices `(B, K)` of the `floor(share * n)` highest of each sample's n valid scores.

    Returns the indices, best first and padded with 0, and the mask of those that are not padding
    (None where all samples keep as many).
    """
    # Whole numbers throughout: an exported network is to work for any number of matches.
    ratio = Fraction(share).limit_denominator(1000)
    if valid is None:
        count = score.shape[1] * ratio.numerator // ratio.denominator
        return score.detach().topk(count, dim=1).indices, None
    counts = valid.sum(1) * ratio.numerator // ratio.denominator
    fixed = fixed_shapes(valid)
    most = valid.shape[1] * ratio.numerator // ratio.denominator
    longest = most if fixed else int(counts.max())
    kept = score.detach().masked_fill(~valid, -torch.inf).topk(longest, dim=1).indices
    kept_valid = torch.arange(longest, device=kept.device) < counts.unsqueeze(1)
    if not fixed and bool(kept_valid.all()):
        return kept, None
    return kept.masked_fill(~kept_valid, 0), kept_valid


def take(values: Tensor, index: Tensor) -> Tensor:
    """`values` `(B, N)` or `(B, N, C)` at `index` `(B, K)`."""
    if values.dim() == 2:
        return values.gather(1, index)
    return values.gather(1, index.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
