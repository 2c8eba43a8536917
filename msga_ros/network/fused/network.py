"""MSGA-Net by fused kernels: what `MSGANet.forward` computes, for inference, in a tenth of the
launches."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from msga_ros.network.evidence import input_names
from msga_ros.network.fused.branches import Branches
from msga_ros.network.fused.operations import Operations
from msga_ros.network.fused.values import (
    Chosen,
    Counts,
    Normed,
    Sieving,
    Statistics,
    Tiles,
)
from msga_ros.network.fused.weights import Block, Context, Sieve, block, linear_of, sieve
from msga_ros.network.net import MSGANet, checked
from msga_ros.network.result import MSGANetResult, empty_result, inlier_probability


@dataclass(frozen=True)
class _Pass:
    """What one pass found; `scores`: raw, of the first module, twice the second, the last."""

    counts: Counts
    first: Chosen
    second: Chosen
    scores: tuple[Tensor, Tensor, Tensor, Tensor]
    weights: Tensor
    essential: Tensor
    residual: Tensor
    logit: Tensor


def _rows(table: Tensor) -> Tensor:
    """In float32, each row in one piece."""
    table = table.float()
    return table if table.stride(-1) == 1 else table.contiguous()


class FusedNetwork:
    """`net`, folded, on the device where it is now. Shapes follow from the shapes of the inputs
    alone, nothing waits for the device, and so a call can be recorded as a CUDA graph.

    `unavailable` in `msga_ros.network.fused` says for which structures and devices.
    """

    def __init__(self, net: MSGANet, operations: Operations | None = None) -> None:
        config = net.config
        self.config = config
        self.min_matches = net.min_matches
        self.operations = operations or Operations()
        self._branches = Branches()
        self._sieves = sieve(net.sieve0), sieve(net.sieve1)
        self._weigh, self._weigh_head = block(net.weigh), linear_of(net.weigh_head)
        self._sieving = Sieving(
            net.min_matches,
            Fraction(config.keep).limit_denominator(1000),
            config.evidence_names,
            4 + len(input_names(config.evidence_names)),
        )

    @torch.no_grad()
    def __call__(
        self,
        correspondences: Tensor,
        valid: Tensor | None = None,
        evidence: Tensor | None = None,
    ) -> MSGANetResult:
        """As `MSGANet.forward`."""
        checked(correspondences, valid, evidence)
        if correspondences.shape[1] < self.min_matches:
            return empty_result(correspondences)
        pass_ = self._pass(correspondences, valid, evidence)
        enough = pass_.counts.sufficient.bool()
        shown = [
            mask.bool() & enough.unsqueeze(1)
            for mask in (pass_.counts.mask, pass_.first.mask, pass_.second.mask)
        ]
        never = -torch.inf
        scores = pass_.scores
        return MSGANetResult(
            logits=(
                scores[0].masked_fill(~shown[0], never),
                pass_.logit,
                scores[1].masked_fill(~shown[1], never),
                scores[2].masked_fill(~shown[1], never),
                scores[3].masked_fill(~shown[2], never),
            ),
            kept=(
                pass_.first.origin.long().masked_fill(~shown[1], -1),
                pass_.second.origin.long().masked_fill(~shown[2], -1),
            ),
            essential=pass_.essential,
            residual=pass_.residual,
            inlier_probability=inlier_probability(pass_.residual),
            sufficient=enough,
            weights=pass_.weights * enough.unsqueeze(1),
        )

    @torch.no_grad()
    def judgement(
        self, correspondences: Tensor, valid: Tensor, evidence: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`essential` `(B, 3, 3)`, `residual` and `logits[1]` `(B, N)` of the same, alone."""
        if correspondences.shape[1] < self.min_matches:
            result = empty_result(correspondences)
            return result.essential, result.residual, result.logits[1]
        pass_ = self._pass(correspondences, valid, evidence)
        return pass_.essential, pass_.residual, pass_.logit

    def _pass(
        self, correspondences: Tensor, valid: Tensor | None, evidence: Tensor | None
    ) -> _Pass:
        run = self.operations
        batch, rows, _ = correspondences.shape
        if valid is None:
            valid = torch.ones(batch, rows, dtype=torch.bool, device=correspondences.device)
        keep = self._sieving.keep
        kept0 = rows * keep.numerator // keep.denominator
        kept1 = kept0 * keep.numerator // keep.denominator
        counts = run.count(valid, self._sieving)
        inputs = run.encode(
            _rows(correspondences),
            None if evidence is None else _rows(evidence),
            valid,
            self._sieving,
        )

        score0, score1, _ = self._sieve(self._sieves[0], inputs, counts.mask, keep=False)
        essential = None
        if self.config.residual_input:
            essential = run.eight_point(
                inputs,
                score1,
                counts.mask,
                counts.sufficient,
                sigmoid=True,
                hartley=self.config.hartley,
            )
        first, seen = run.choose_first(inputs, score0, score1, counts, essential, kept0)

        score2, score3, features = self._sieve(self._sieves[1], seen, first.mask, keep=True)
        assert features is not None
        second, matches, features = run.choose_second(seen, score3, features, first, counts, kept1)

        tiles = self._tiles(features)
        hidden, statistics = self._block(self._weigh, Normed(features), second.mask, tiles)
        raw, _ = run.finish(
            Normed(hidden, self._weigh.norm1, statistics, features),
            self._weigh_head,
            tiles,
            False,
        )
        weights = run.weigh(raw, second.mask)
        essential = run.eight_point(
            matches,
            weights,
            second.mask,
            counts.sufficient,
            sigmoid=False,
            hartley=self.config.hartley,
        )
        residual, logit = run.judge(inputs, essential, score1, counts)
        return _Pass(
            counts,
            first,
            second,
            (score0, score2, score3, raw[..., 0]),
            weights,
            essential,
            residual,
            logit,
        )

    def _tiles(self, features: Tensor) -> Tiles:
        batch, rows, _ = features.shape
        return self.operations.tiles(batch, rows)

    def _sieve(
        self, weights: Sieve, inputs: Tensor, mask: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Both scores `(B, N)` of a module and, if they are to be kept, its features."""
        run, k = self.operations, weights.neighbours
        tiles = self._tiles(inputs)
        channels = self.config.channels
        embedded, _, _ = run.linear(Normed(inputs), weights.embed, mask, tiles, relu=True)
        x = self._stack(weights.residual0, Normed(embedded), mask, tiles)
        shallow = run.settle(x, tiles)
        with self._branches.forked(shallow.device) as beside:
            with beside(0):
                on_shallow, _, _ = run.linear(Normed(shallow), weights.on_shallow, mask, tiles)
            graph1 = run.nearest(shallow, mask, k, tiles)
        deep = run.annular(on_shallow, graph1, weights.annular, tiles)
        x = self._stack(weights.residual1, Normed(deep), mask, tiles)
        deep = run.settle(x, tiles)
        with self._branches.forked(deep.device) as beside:
            with beside(0):
                on_deep, _, _ = run.linear(Normed(deep), weights.on_deep, mask, tiles)
            graph2 = run.nearest(deep, mask, k, tiles) if weights.dynamic else graph1
        attended = run.edge_attention(
            on_shallow[..., 4 * channels :], on_deep, graph1, graph2, channels
        )
        features, score0, statistics = run.edge_output(
            attended, weights.interaction0, shallow, weights.head0, mask, tiles
        )
        assert score0 is not None

        context = self._context(weights.context, features, statistics, mask, tiles)
        with self._branches.forked(context.device) as beside:
            with beside(0):
                on_context, _, _ = run.linear(Normed(context), weights.on_context, mask, tiles)
            graph3 = run.nearest(context, mask, k, tiles) if weights.dynamic else graph2
        attended = run.edge_attention(
            on_deep[..., 4 * channels :], on_context, graph2, graph3, channels
        )
        features, _, _ = run.edge_output(attended, weights.interaction1, deep, None, mask, tiles)
        hidden, found = self._block(weights.residual2, Normed(features), mask, tiles)
        x = Normed(hidden, weights.residual2.norm1, found, features)
        score1, last = run.finish(x, weights.head1, tiles, keep)
        return score0, score1.squeeze(-1), last

    def _stack(self, blocks: tuple[Block, ...], x: Normed, mask: Tensor, tiles: Tiles) -> Normed:
        """Features after the blocks, of which the last norm and shortcut are still to come."""
        for one in blocks:
            hidden, statistics, kept = self.operations.linear(
                x, one.linear0, mask, tiles, statistics=True, keep=x.norm is not None
            )
            features = x.values if kept is None else kept
            hidden, statistics, _ = self.operations.linear(
                Normed(hidden, one.norm0, statistics), one.linear1, mask, tiles, statistics=True
            )
            x = Normed(hidden, one.norm1, statistics, features)
        return x

    def _block(
        self, weights: Block, x: Normed, mask: Tensor, tiles: Tiles
    ) -> tuple[Tensor, Statistics | None]:
        """A block up to its last norm."""
        after = self._stack((weights,), x, mask, tiles)
        return after.values, after.statistics

    def _context(
        self, weights: Context, features: Tensor, statistics: Statistics, mask: Tensor, tiles: Tiles
    ) -> Tensor:
        run = self.operations
        pooled = Normed(features, weights.pool_norm, statistics)
        cells = run.pool(pooled, weights.pool, mask, tiles)
        side = weights.side
        for layer in weights.layers:
            with self._branches.forked(cells.device) as beside:
                with beside(0):
                    whole = run.whole_gate(cells, layer.gate)
                with beside(1):
                    hidden = run.convolution(cells, layer.local, side, tiles)
                qkv = run.convolution(cells, layer.qkv, side, tiles)
                attended = run.channel_attention(qkv, layer.attention, side, tiles)
            cells = run.mixing(
                cells, layer.gate, hidden, whole, attended, layer.output, side, tiles
            )
            hidden = run.convolution(cells, layer.widen, side, tiles)
            cells = run.convolution(hidden, layer.narrow, side, tiles, cells)
        return run.unpool(
            Normed(features, weights.unpool_norm, statistics), weights.unpool, cells, tiles
        )
