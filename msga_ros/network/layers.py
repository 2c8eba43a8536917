"""Building blocks on `(B, N, C)` features: channels last, so that a 1x1 convolution is one product.

Every block that mixes matches takes `valid`, a `(B, N)` bool mask or None where all are; padded
rows hold finite values that are not used.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm1d):
    """Batch norm over all leading dimensions of `(..., C)`; masked rows stay out of the statistics.

    A batch with a single row is normalised with the running statistics, not an error.
    """

    def forward(self, features: Tensor, valid: Tensor | None = None) -> Tensor:
        """`(..., C)` to the same; `valid` `(...)`, None: all."""
        flat = features.reshape(-1, features.shape[-1])
        if self.training and valid is not None:
            return self._masked(flat, valid.reshape(-1, 1)).view_as(features)
        momentum = self.momentum if self.momentum is not None else 0.1
        return F.batch_norm(
            flat,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training and len(flat) > 1,
            momentum,
            self.eps,
        ).view_as(features)

    def _masked(self, rows: Tensor, mask: Tensor) -> Tensor:
        """`rows` `(M, C)` normalised by the statistics of those that `mask` `(M, 1)` names; zeros
        elsewhere."""
        assert self.running_mean is not None and self.running_var is not None
        share = mask.float()
        count = share.sum()
        # Not in half precision, whatever surrounds it: sums over all edges of a batch.
        values = rows.float()
        mean = (values * share).sum(0) / count.clamp_min(1)
        variance = ((values - mean).square() * share).sum(0) / count.clamp_min(1)
        enough = count > 1
        with torch.no_grad():
            momentum = (self.momentum if self.momentum is not None else 0.1) * enough
            unbiased = variance * count / (count - 1).clamp_min(1)
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(unbiased, momentum)
        mean = torch.where(enough, mean, self.running_mean)
        variance = torch.where(enough, variance, self.running_var)
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return torch.addcmul(self.bias, values - mean, scale).masked_fill(~mask, 0).to(rows.dtype)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """`(scale, shift)`, each `(C,)`: what the layer does in evaluation."""
        assert self.running_mean is not None and self.running_var is not None
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        return scale, self.bias - self.running_mean * scale


class ContextNorm(nn.Module):
    """Instance norm over the valid matches of each sample, then batch norm.

    Source: context normalisation of Yi et al., CVPR 2018, section 3.2.

    One formula in three forms, each the fastest where it is used: a single sample without masks
    after `fold` (the node on a CPU: products in place, the batch norm as scale and shift); batches
    and masks on a CPU (means as products); an accelerator (`var_mean`, statistics in float32).
    They differ in the last bits, which recorded outputs are compared with: keep the order of the
    operations.
    """

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.norm = BatchNorm(channels)
        self.register_buffer("scale", None, persistent=False)
        self.register_buffer("shift", None, persistent=False)

    def fold(self) -> None:
        """Keep what the batch norm does in evaluation; for inference only."""
        self.scale, self.shift = (part.detach() for part in self.norm.scale_and_shift())

    def forward(self, features: Tensor, valid: Tensor | None) -> Tensor:
        """`(B, N, C)` to the same; `valid` `(B, N)`, None: all."""
        if self.scale is not None and valid is None and len(features) == 1:
            sample = features[0]
            weight = sample.new_full((1, 1), 1 / sample.shape[0]).expand(1, sample.shape[0])
            centred = sample - torch.mm(weight, sample)
            scale = torch.mm(weight, centred.square()).add_(self.eps).rsqrt_().mul_(self.scale)
            return centred.mul_(scale).add_(self.shift).unsqueeze(0)
        if features.device.type != "cpu":
            return self._on_accelerator(features, valid)
        # Sums over the matches as products: several times faster here than torch.var_mean.
        if valid is None:
            weight = features.new_full((1, 1, 1), 1 / features.shape[1]).expand(
                len(features), 1, features.shape[1]
            )
        else:
            count = valid.sum(1, keepdim=True).clamp_min(1)
            weight = (valid.to(features.dtype) / count).unsqueeze(1)
        centred = features - weight @ features
        scale = torch.rsqrt(weight @ centred.square() + self.eps)
        if self.training:
            return self.norm(centred * scale, valid)
        affine_scale, shift = self.norm.scale_and_shift()
        scale = scale * affine_scale
        if torch.is_grad_enabled():
            return torch.addcmul(shift, centred, scale)
        return centred.mul_(scale).add_(shift)

    def _on_accelerator(self, features: Tensor, valid: Tensor | None) -> Tensor:
        """The same with statistics in float32, whatever the features are in."""
        values = features.float()
        if valid is None:
            variance, mean = torch.var_mean(values, dim=1, correction=0, keepdim=True)
            centred = values - mean
        else:
            share = valid.unsqueeze(-1).float()
            share = share / share.sum(1, keepdim=True).clamp_min(1)
            centred = values - (values * share).sum(1, keepdim=True)
            variance = (centred.square() * share).sum(1, keepdim=True)
        scale = torch.rsqrt(variance + self.eps)
        if self.training:
            return self.norm((centred * scale).to(features.dtype), valid)
        if self.scale is not None:
            affine_scale, shift = self.scale, self.shift
        else:
            affine_scale, shift = self.norm.scale_and_shift()
        return torch.addcmul(shift, centred, scale * affine_scale).to(features.dtype)


class ResidualBlock(nn.Module):
    """Two linear layers, each context-normalised, around a shortcut (PointCN block)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear0 = nn.Linear(channels, channels)
        self.norm0 = ContextNorm(channels, eps=1e-5)
        self.linear1 = nn.Linear(channels, channels)
        self.norm1 = ContextNorm(channels, eps=1e-5)

    def forward(self, features: Tensor, valid: Tensor | None) -> Tensor:
        """`(B, N, C)` to the same; `valid` `(B, N)`, None: all."""
        hidden = relu(self.norm0(self.linear0(features), valid))
        hidden = self.norm1(self.linear1(hidden), valid)
        return relu(add(hidden, features))


class ResidualStack(nn.ModuleList):
    """Residual blocks one after the other."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__(ResidualBlock(channels) for _ in range(blocks))

    def forward(self, features: Tensor, valid: Tensor | None) -> Tensor:
        """`(B, N, C)` to the same; `valid` `(B, N)`, None: all."""
        for block in self:
            features = block(features, valid)
        return features


def relu(fresh: Tensor) -> Tensor:
    """ReLU of a tensor that has no other user: in place where no gradient is recorded."""
    return F.relu(fresh) if torch.is_grad_enabled() else fresh.relu_()


def add(fresh: Tensor, other: Tensor) -> Tensor:
    """`fresh + other`, in place in `fresh` where no gradient is recorded."""
    return fresh + other if torch.is_grad_enabled() else fresh.add_(other)


def folded(linear: nn.Linear, norm: BatchNorm) -> nn.Linear:
    """One linear layer equal to `linear` followed by `norm` in evaluation."""
    scale, shift = norm.scale_and_shift()
    result = nn.Linear(linear.in_features, linear.out_features)
    result.weight = nn.Parameter(linear.weight * scale[:, None])
    result.bias = nn.Parameter(linear.bias * scale + shift)
    return result
