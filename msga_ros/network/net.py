"""MSGA-Net: correspondences in, inlier probabilities and the essential matrix out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msga_ros.geometry.eight_point import weighted_eight_point
from msga_ros.geometry.epipolar import symmetric_epipolar_distance_squared
from msga_ros.network.config import MSGANetConfig
from msga_ros.network.layers import ResidualBlock
from msga_ros.network.sieving import SievingModule, take

INLIER_THRESHOLD = 1e-4  # squared symmetric epipolar distance, normalised coordinates


@dataclass(frozen=True)
class MSGANetResult:
    """What the network says of a batch of `(B, N, 4)` correspondences.

    Attributes:
        logits: five tensors, the published order: two `(B, N)` of the first module, two `(B, K0)`
            of the second and one `(B, K1)` of the last, in the order of `kept`; -inf where padded.
        kept: `(B, K0)` and `(B, K1)` indices into the input of the matches that the first and the
            second module kept, best first; -1 where padded.
        essential: `(B, 3, 3)`, Frobenius norm 1; NaN for a sample of too few matches.
        residual: `(B, N)` squared symmetric epipolar distance of every match to `essential`; inf
            where masked, and for a sample of too few matches.
        inlier_probability: `(B, N)`, `1 / (1 + residual / 1e-4)`: 0.5 at the published threshold.
        sufficient: `(B,)` bool, whether the sample had enough matches (`MSGANet.min_matches`).
        weights: `(B, K1)` of the matches in the eight-point solution, sum 1; 0 where padded.
    """

    logits: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
    kept: tuple[Tensor, Tensor]
    essential: Tensor
    residual: Tensor
    inlier_probability: Tensor
    sufficient: Tensor
    weights: Tensor


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
        self._folded = False

    @classmethod
    def load(
        cls, source: str | Path | Mapping[str, Tensor], fold: bool = True
    ) -> MSGANet:
        """The network with trained weights, in evaluation mode.

        Args:
            source: a `.safetensors` checkpoint of ours, a published-layout checkpoint file (`.pth`
                that holds `state_dict`; read without unpickling code), or a mapping of tensors in
                the published names.
            fold: merge batch norms into the weights: faster, inference only. Give False to train on.

        Raises:
            CheckpointError: the file is missing, unreadable, or does not fit the network.
        """
        from msga_ros.network.checkpoint import read_checkpoint

        config, state = read_checkpoint(source)
        net = cls(config)
        net.load_state_dict(state)
        net.eval()
        return net.fold() if fold else net

    @property
    def min_matches(self) -> int:
        """A sample of fewer valid matches gets `sufficient = False` and no essential matrix."""
        return self.config.min_matches

    def fold(self) -> MSGANet:
        """Merge batch norms into the weights, in place; the network can no longer be trained."""
        for module in self.modules():
            if module is not self and hasattr(module, "fold"):
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
        if valid is None:
            count = torch.full((len(correspondences),), correspondences.shape[1])
            sufficient = (count >= self.min_matches).to(correspondences.device)
        else:
            sufficient = valid.sum(1) >= self.min_matches
            correspondences = torch.where(valid.unsqueeze(-1), correspondences, 0.0)
        if bool(sufficient.all()) and len(correspondences):
            return self._forward(correspondences, valid, sufficient)
        return self._forward_some(correspondences, valid, sufficient)

    def _forward(
        self, correspondences: Tensor, valid: Tensor | None, sufficient: Tensor
    ) -> MSGANetResult:
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
            log_weight = log_weight.masked_fill(~second.kept_valid, -torch.inf)
        weights = torch.softmax(log_weight, dim=1)

        essential = weighted_eight_point(matches1.float(), weights)
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
            sufficient=sufficient,
            weights=weights,
        )

    def _forward_some(
        self, correspondences: Tensor, valid: Tensor | None, sufficient: Tensor
    ) -> MSGANetResult:
        """Samples of too few matches get their stated result, the others what they get alone."""
        batch, count, _ = correspondences.shape
        kept_counts = [0, 0]
        some = None
        if bool(sufficient.any()):
            some = self._forward(
                correspondences[sufficient],
                None if valid is None else valid[sufficient],
                sufficient[sufficient],
            )
            kept_counts = [kept.shape[1] for kept in some.kept]

        def spread(width: tuple[int, ...], fill: float, values: Tensor | None) -> Tensor:
            like = correspondences if values is None else values
            result = like.new_full((batch, *width), fill)
            if values is not None:
                result[sufficient] = values
            return result

        widths = (count, count, kept_counts[0], kept_counts[0], kept_counts[1])
        logits = tuple(
            spread((width,), -torch.inf, some.logits[i] if some else None)
            for i, width in enumerate(widths)
        )
        no_kept = torch.zeros(0, 0, dtype=torch.long, device=correspondences.device)
        kept = tuple(
            spread((width,), -1, some.kept[i])
            if some
            else no_kept.new_full((batch, 0), -1)
            for i, width in enumerate(kept_counts)
        )
        residual = spread((count,), torch.inf, some.residual if some else None)
        return MSGANetResult(
            logits=(logits[0], logits[1], logits[2], logits[3], logits[4]),
            kept=(kept[0], kept[1]),
            essential=spread((3, 3), torch.nan, some.essential if some else None),
            residual=residual,
            inlier_probability=inlier_probability(residual),
            sufficient=sufficient,
            weights=spread((kept_counts[1],), 0.0, some.weights if some else None),
        )


def inlier_probability(residual: Tensor, threshold: float = INLIER_THRESHOLD) -> Tensor:
    """`1 / (1 + residual / threshold)`: 0.5 at the threshold, 0 for an infinite residual."""
    return 1 / (1 + residual / threshold)


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
