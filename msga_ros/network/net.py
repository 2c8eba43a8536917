"""MSGA-Net: correspondences in, inlier probabilities and the essential matrix out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msga_ros.geometry.eight_point import weighted_eight_point
from msga_ros.geometry.epipolar import symmetric_epipolar_distance_squared
from msga_ros.network.checkpoint import read_checkpoint
from msga_ros.network.config import MSGANetConfig
from msga_ros.network.evidence import EVIDENCE, evidence_inputs, input_names
from msga_ros.network.graph import AnnularConvolution, EdgeConvolution
from msga_ros.network.layers import ContextNorm, ResidualBlock
from msga_ros.network.msformer import Bottleneck
from msga_ros.network.result import (
    INLIER_THRESHOLD,
    MSGANetResult,
    empty_result,
    inlier_probability,
    merge_samples,
    without,
)
from msga_ros.network.shapes import fixed_shapes
from msga_ros.network.sieving import Sieved, SievingModule, take

_FOLDING = (SievingModule, EdgeConvolution, AnnularConvolution, ContextNorm, Bottleneck)
_NEVER = -1e9  # logarithm of the weight of padding: finite, so that an all-padded row is no NaN


class MSGANet(nn.Module):
    """Outlier removal by multi-layer sparse graph attention.

    Source: Gong, Xiao, Shi, Chen, Yu, "MSGA-Net: Progressive Feature Matching via Multi-Layer
    Sparse Graph Attention", IEEE TCSVT 34(7), 2024.
    """

    def __init__(self, config: MSGANetConfig | None = None) -> None:
        super().__init__()
        self.config = config or MSGANetConfig()
        inputs = [len(names) for names in module_inputs(self.config)]
        self.sieve0 = SievingModule(self.config, inputs[0], self.config.neighbours[0])
        self.sieve1 = SievingModule(self.config, inputs[1], self.config.neighbours[1])
        self.weigh = ResidualBlock(self.config.channels)
        self.weigh_head = nn.Linear(self.config.channels, 2)
        # A sample of fewer valid matches gets `sufficient = False` and no essential matrix.
        self.min_matches = self.config.min_matches
        self._folded = False

    @classmethod
    def load(cls, source: str | Path | Mapping[str, Tensor], fold: bool = True) -> MSGANet:
        """The network with trained weights, in evaluation mode.

        Args:
            source: a `.safetensors` checkpoint of ours, a published-layout checkpoint file (`.pth`
                that holds `state_dict`; read without unpickling code), or a mapping of tensors in
                the published names.
            fold: merge batch norms into the weights: faster, inference only. False: to train on.

        Raises:
            CheckpointError: the file is missing, unreadable, or does not fit the network.
        """
        config, state = read_checkpoint(source, cls)
        net = cls(config)
        net.load_state_dict(state)
        net.eval()
        return net.fold() if fold else net

    def fold(self) -> MSGANet:
        """Merge batch norms into the weights, in place; the network can no longer be trained."""
        for module in list(self.modules()):
            if isinstance(module, _FOLDING):
                module.fold()
        self._folded = True
        self.requires_grad_(False)
        return self.eval()

    @property
    def folded(self) -> bool:
        """Whether batch norms are merged into the weights."""
        return self._folded

    def train(self, mode: bool = True) -> MSGANet:
        """As in torch; a folded network refuses.

        Raises:
            RuntimeError: the network is folded.
        """
        if mode and self._folded:
            raise RuntimeError("this network is folded for inference; load it with fold=False")
        return super().train(mode)

    def forward(
        self,
        correspondences: Tensor,
        valid: Tensor | None = None,
        evidence: Tensor | None = None,
    ) -> MSGANetResult:
        """Tell inliers from outliers.

        Args:
            correspondences: `(B, N, 4)` float, `(x, y, x', y')` in normalised image coordinates.
            valid: `(B, N)` bool; masked rows (padding, unusable matches) influence nothing and may
                hold anything. None: all are valid.
            evidence: `(B, N, columns)` float, what descriptors and keypoints say of each match: the
                first columns of `EVIDENCE` (see there), at least two, NaN where unknown. None:
                nothing is known. Only what `config.evidence` names is looked at.

        Raises:
            ValueError: a shape or dtype is not as above.
        """
        valid = checked(correspondences, valid)
        inputs = self._inputs(correspondences, evidence)
        if correspondences.shape[1] < self.min_matches:
            return empty_result(correspondences)
        if not self.training and not fixed_shapes(correspondences):
            return self._one_by_one(inputs, valid)
        if valid is None:
            return self._forward(inputs, None)
        sufficient = valid.sum(1) >= self.min_matches
        inputs = torch.where(valid.unsqueeze(-1), inputs, 0.0)
        # A sample of too few counts as one of zeros: statistics of a match or none would let the
        # others grow beyond all numbers.
        result = self._forward(inputs, valid | ~sufficient.unsqueeze(1))
        return without(result, sufficient)

    def judged(self, correspondences: Tensor, evidence: Tensor | None = None) -> MSGANetResult:
        """`forward` for samples whose matches are all valid and enough, without a look at them."""
        return self._forward(self._inputs(correspondences, evidence), None)

    def _inputs(self, correspondences: Tensor, evidence: Tensor | None) -> Tensor:
        """`(B, N, 4 + E)`: what the first module sees of each match."""
        names = self.config.evidence_names
        if not names:
            return correspondences
        if evidence is None:
            evidence = correspondences.new_full((1, 1, len(EVIDENCE)), torch.nan)
            evidence = evidence.expand(*correspondences.shape[:2], -1)
        _check_evidence(correspondences, evidence)
        encoded = evidence_inputs(names, evidence.to(correspondences.dtype))
        return torch.cat((correspondences, encoded), -1)

    def _one_by_one(self, inputs: Tensor, valid: Tensor | None) -> MSGANetResult:
        """Sample by sample and only the valid matches: what a CPU does fastest, and exactly what
        each sample would get alone."""
        if len(inputs) == 1 and valid is None:
            return self._forward(inputs, None)
        parts = []
        for sample in range(len(inputs)):
            if valid is None:
                rows = torch.arange(inputs.shape[1])
            else:
                rows = valid[sample].nonzero().flatten()
            if len(rows) >= self.min_matches:
                parts.append((sample, rows, self._forward(inputs[sample, rows][None], None)))
        return merge_samples(inputs, parts) if parts else empty_result(inputs)

    def _forward(self, inputs: Tensor, valid: Tensor | None) -> MSGANetResult:
        correspondences = inputs[..., :4]
        first = self.sieve0(inputs, valid)
        matches0 = take(inputs, first.kept)
        scores = torch.stack((first.score0, first.score1), -1)
        scores = F.relu(torch.tanh(take(scores, first.kept).detach()))
        seen = [matches0[..., :4], scores, matches0[..., 4:]]
        if self.config.residual_input:
            seen.append(self._agreement(correspondences, first, valid))

        second = self.sieve1(torch.cat(seen, -1), first.kept_valid)
        matches1 = take(matches0[..., :4], second.kept)
        kept1 = take(first.kept, second.kept)

        raw = self.weigh_head(self.weigh(second.features, second.kept_valid))
        last, log_scale = raw.unbind(-1)
        # exp(scale) * sigmoid(last), normalised; by its logarithm, so that nothing overflows.
        log_weight = (log_scale + F.logsigmoid(last)).float()
        if second.kept_valid is not None:
            log_weight = log_weight.masked_fill(~second.kept_valid, _NEVER)
        weights = torch.softmax(log_weight, dim=1)

        essential = weighted_eight_point(matches1.float(), weights, self.config.hartley)
        residual = symmetric_epipolar_distance_squared(correspondences.float(), essential)
        if valid is not None:
            residual = residual.masked_fill(~valid, torch.inf)
        if not self.config.verification:
            residual = _only(residual, kept1, second.kept_valid)
        return MSGANetResult(
            logits=(
                _padded(first.score0, valid, -torch.inf),
                _padded(first.score1, valid, -torch.inf),
                _padded(second.score0, first.kept_valid, -torch.inf),
                _padded(second.score1, first.kept_valid, -torch.inf),
                _padded(last, second.kept_valid, -torch.inf),
            ),
            kept=(
                _padded(first.kept, first.kept_valid, -1),
                _padded(kept1, second.kept_valid, -1),
            ),
            essential=essential,
            residual=residual,
            inlier_probability=inlier_probability(residual),
            sufficient=torch.ones_like(correspondences[:, 0, 0], dtype=torch.bool),
            weights=weights if second.kept_valid is None else weights * second.kept_valid,
        )

    @torch.no_grad()
    def _agreement(self, correspondences: Tensor, first: Sieved, valid: Tensor | None) -> Tensor:
        """`(B, K, 1)`: how well each kept match fits the solution that the first module's scores
        weigh, from -1 (not at all) to 1 (perfectly).

        The idea is that of the iterative network of OANet (Zhang et al., ICCV 2019, section 3.4).
        """
        weights = torch.sigmoid(first.score1.float())
        if valid is not None:
            weights = weights * valid
        weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-6)
        essential = weighted_eight_point(correspondences.float(), weights, self.config.hartley)
        residual = symmetric_epipolar_distance_squared(
            take(correspondences, first.kept).float(), essential
        )
        # Three decades either side of the published threshold of an inlier.
        decades = torch.log10(residual / INLIER_THRESHOLD + 1e-9)
        return (decades / -3).clamp(-1, 1).nan_to_num(0.0).unsqueeze(-1).to(correspondences.dtype)


def module_inputs(config: MSGANetConfig) -> tuple[list[str], list[str]]:
    """Names of what the first and the second module see of each match, in order."""
    first = ["x0", "y0", "x1", "y1"]
    evidence = input_names(config.evidence_names)
    second = [*first, "score0", "score1", *evidence, *["agreement"] * config.residual_input]
    return [*first, *evidence], second


def _only(residual: Tensor, kept: Tensor, kept_valid: Tensor | None) -> Tensor:
    """`(B, N)` residuals, inf for all matches that `kept` `(B, K)` does not name."""
    if kept_valid is not None:
        kept = torch.where(kept_valid, kept, kept[:, :1])
    result = torch.full_like(residual, torch.inf)
    return result.scatter(1, kept, residual.gather(1, kept))


def _padded(values: Tensor, valid: Tensor | None, fill: float) -> Tensor:
    return values if valid is None else values.masked_fill(~valid, fill)


def checked(
    correspondences: Tensor, valid: Tensor | None, evidence: Tensor | None = None
) -> Tensor | None:
    """The mask, None where it masks nothing; raises on wrong shapes and types."""
    if correspondences.dim() != 3 or correspondences.shape[-1] != 4:
        raise ValueError(f"correspondences must be (B, N, 4), not {tuple(correspondences.shape)}")
    if not correspondences.is_floating_point():
        raise ValueError(f"correspondences must be floating point, not {correspondences.dtype}")
    if evidence is not None:
        _check_evidence(correspondences, evidence)
    if valid is None:
        return None
    if valid.dtype != torch.bool or valid.shape != correspondences.shape[:2]:
        raise ValueError(
            f"valid must be bool of shape {tuple(correspondences.shape[:2])}, "
            f"not {valid.dtype} of shape {tuple(valid.shape)}"
        )
    return None if not fixed_shapes(valid) and bool(valid.all()) else valid


def _check_evidence(correspondences: Tensor, evidence: Tensor) -> None:
    columns = evidence.shape[-1]
    if evidence.shape[:-1] != correspondences.shape[:2] or not 2 <= columns <= len(EVIDENCE):
        raise ValueError(
            f"evidence must be {(*correspondences.shape[:2], len(EVIDENCE))}, "
            f"not {tuple(evidence.shape)}"
        )
