"""Batch normalisation as a part of the convolution before it, where nothing is trained any more."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_normalisation(module: nn.Module) -> None:
    """Replace each convolution that a batch normalisation follows in a sequence by one that does
    both, and the normalisation by nothing. `module` must be in evaluation."""
    for child in module.modules():
        if not isinstance(child, nn.Sequential):
            continue
        for number in range(len(child) - 1):
            first, second = child[number], child[number + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                child[number] = fuse_conv_bn_eval(first, second)
                child[number + 1] = nn.Identity()
