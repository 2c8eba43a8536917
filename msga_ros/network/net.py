"""MSGA-Net: correspondences in, inlier probabilities and the essential matrix out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msga_ros.geometry.eight_point import weighted_eight_point
from msga_ros.geometry.epipolar import symmetric_epipolar_distance_squared
from msga_ros.network.config import MSGANetConfig
from msga_ros.network.graph import AnnularConvolution, EdgeConvolution
from msga_ros.network.layers import ResidualBlock
from msga_ros.network.result import (
    MSGANetResult,
    empty_result,
    inlier_probability,
    merge_samples,
    without,
)
from msga_ros.network.sieving import SievingModule, take

_NEVER = -1e9  # logarithm of the weight of padding: finite, so that an all-padded row is no NaN


class MSGANet(nn.Module):
    """Outlier removal by multi-layer sparse graph attention.

    Source: Gong, Xiao, Shi, Chen, Yu, "MSGA-Net: Progressive Feature Matching via Multi-Layer
    Sparse Graph Attention", IEEE TCSVT 34(7), 2024.
    """

    def __init__(self, config: MSGANetConfig | None = None) -> None:
        super().__init__()
        self.config = config or MSGANetConfig()
        self.sieve0 = SievingModule(self.config, inputs=4, neighbours=self.config.neighbours[0])
        # The second module also sees both scores of the first.
        self.sieve1 = SievingModule(self.config, inputs=6, neighbours=self.config.neighbours[1])
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
        from msga_ros.network.checkpoint import read_checkpoint

        config, state = read_checkpoint(source)
        net = cls(config)
        net.load_state_dict(state)
        net.eval()
        return net.fold() if fold else net

    def fold(self) -> MSGANet:
        """Merge batch norms into the weights, in place; the network can no longer be trained."""
        for module in self.modules():
            if isinstance(module, (SievingModule, EdgeConvolution, AnnularConvolution)):
                module.fold()
        self._folded = True
        self.requires_grad_(False)
        return self.eval()

    def train(self, mode: bool = True) -> MSGANet:
        """As in torch; a folded network refuses.

        Raises:
            RuntimeError: the network is folded.
        """
        if mode and self._folded:
            raise RuntimeError("this network is folded for inference; load it with fold=False")
        return super().train(mode)

    def forward(self, correspondences: Tensor, valid: Tensor | None = None) -> MSGANetResult:
        """Tell inliers from outliers.

        Args:
            correspondences: `(B, N, 4)` float, `(x, y, x', y')` in normalised image coordinates.
            valid: `(B, N)` bool; masked rows (padding, unusable matches) influence nothing and may
                hold anything. None: all are valid.

        Raises:
            ValueError: a shape or dtype is not as above.
        """
        valid = _checked(correspondences, valid)
        batch, count, _ = correspondences.shape
        if valid is None:
            enough = count >= self.min_matches
            sufficient = torch.full((batch,), enough, device=correspondences.device)
        else:
            sufficient = valid.sum(1) >= self.min_matches
        if not bool(sufficient.any()):
            return empty_result(correspondences)
        if correspondences.device.type == "cpu" and not self.training:
            return self._one_by_one(correspondences, valid, sufficient)
        if valid is not None:
            correspondences = torch.where(valid.unsqueeze(-1), correspondences, 0.0)
        result = self._forward(correspondences, valid)
        return result if bool(sufficient.all()) else without(result, sufficient)

    def _one_by_one(
        self, correspondences: Tensor, valid: Tensor | None, sufficient: Tensor
    ) -> MSGANetResult:
        """Sample by sample and only the valid matches: what a CPU does fastest, and exactly what
        each sample would get alone."""
        if len(correspondences) == 1 and valid is None:
            return self._forward(correspondences, None)
        parts = []
        for sample in sufficient.nonzero().flatten().tolist():
            if valid is None:
                rows = torch.arange(correspondences.shape[1])
            else:
                rows = valid[sample].nonzero().flatten()
            parts.append((sample, rows, self._forward(correspondences[sample, rows][None], None)))
        return merge_samples(correspondences, parts)

    def _forward(self, correspondences: Tensor, valid: Tensor | None) -> MSGANetResult:
        first = self.sieve0(correspondences, valid)
        matches0 = take(correspondences, first.kept)
        scores = torch.stack((first.score0, first.score1), -1)
        seen = torch.cat((matches0, F.relu(torch.tanh(take(scores, first.kept).detach()))), -1)

        second = self.sieve1(seen, first.kept_valid)
        matches1 = take(matches0, second.kept)
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


def _padded(values: Tensor, valid: Tensor | None, fill: float) -> Tensor:
    return values if valid is None else values.masked_fill(~valid, fill)


def _checked(correspondences: Tensor, valid: Tensor | None) -> Tensor | None:
    """The mask, None where it masks nothing; raises on wrong shapes and types."""
    if correspondences.dim() != 3 or correspondences.shape[-1] != 4:
        raise ValueError(f"correspondences must be (B, N, 4), not {tuple(correspondences.shape)}")
    if not correspondences.is_floating_point():
        raise ValueError(f"correspondences must be floating point, not {correspondences.dtype}")
    if valid is None:
        return None
    if valid.dtype != torch.bool or valid.shape != correspondences.shape[:2]:
        raise ValueError(
            f"valid must be bool of shape {tuple(correspondences.shape[:2])}, "
            f"not {valid.dtype} of shape {tuple(valid.shape)}"
        )
    return None if bool(valid.all()) else valid
