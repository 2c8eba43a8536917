"""What a camera and the light do to a view: exposure, contrast, gamma, shading, blur and noise."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from msga_ros.training.synthetic_scenes.draws import Draws

_NOISE = 0.02  # largest standard deviation, of the full range
_BLURRED = 0.3  # share of the views


def photographed(images: Tensor, draws: Draws) -> Tensor:
    """Views `(B, 1, H, W)` in [0, 1], each as another camera would take it."""
    count, _, height, width = images.shape

    def each(low: float, high: float) -> Tensor:
        return draws.uniform(count, 1, 1, 1, low=low, high=high)

    seen = images.clamp(1e-3, 1) ** each(0.6, 1.6)
    slope = torch.linspace(-1, 1, width, device=images.device) * each(-0.15, 0.15)
    slope = slope + torch.linspace(-1, 1, height, device=images.device)[:, None] * each(-0.15, 0.15)
    seen = seen * each(0.6, 1.3) * (1 + slope) + each(-0.1, 0.15)
    blurred = torch.where(draws.chance(_BLURRED, count, 1, 1, 1), _blurred(seen, draws), seen)
    noise = draws.normal(*images.shape) * each(0, _NOISE)
    return ((blurred + noise).clamp(0, 1) * 255).round() / 255


def _blurred(images: Tensor, draws: Draws) -> Tensor:
    """Along a line of its own each, or round where the line is short: out of focus or moved."""
    count = len(images)
    spread = draws.uniform(count, 2, low=0.3, high=1.2)
    steps = torch.arange(-3, 4, device=images.device).float()
    kernels = (-(steps / spread.unsqueeze(2)).square() / 2).exp()
    kernels = kernels / kernels.sum(2, keepdim=True)
    flat = images.transpose(0, 1)  # images as channels, each with a kernel of its own
    across = F.conv2d(F.pad(flat, (3, 3, 0, 0), "replicate"), kernels[:, None, :1], groups=count)
    down = F.conv2d(
        F.pad(across, (0, 0, 3, 3), "replicate"), kernels[:, 1, :, None].unsqueeze(1), groups=count
    )
    return down.transpose(0, 1)
