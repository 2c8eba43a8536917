"""Module 1, backbone: one network for both images, features at 1/8, 1/4, 1/2 and of each pixel.

The light trunk has the layout of XFeat's (Potje et al., CVPR 2024, figure 3), so that a training
may start from its weights: many layers where the image is small already, few where it is large.
What that makes cheap at 1/8 is too thin at 1/2 (8 channels), so finer levels get a branch of their
own and what the coarser ones know from above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msga_ros.network.dense.config import DenseConfig

MULTIPLE = 32  # of which width and height must be


@dataclass(frozen=True)
class Pyramid:
    """Features `(B, C, H / s, W / s)` of B images at 1/8, 1/4, 1/2 and 1/1.

    The first of the channels at 1/1 is the grey level, the last a weight in (0, 1).
    """

    eighth: Tensor
    quarter: Tensor
    half: Tensor
    full: Tensor

    def __getitem__(self, samples: slice) -> Pyramid:
        """Those of some of the images."""
        return Pyramid(
            self.eighth[samples], self.quarter[samples], self.half[samples], self.full[samples]
        )


class Backbone(nn.Module):
    """Grey images `(B, 1, H, W)`, any range, sides a multiple of `MULTIPLE`, to a `Pyramid`."""

    def __init__(self, config: DenseConfig) -> None:
        super().__init__()
        if config.backbone == "resnet34":
            from msga_ros.network.dense.resnet import ResNetTrunk

            self.trunk: nn.Module = ResNetTrunk()
            eighth, quarter = ResNetTrunk.channels
        else:
            self.trunk = LightTrunk()
            eighth, quarter = LightTrunk.channels
        wide, middle, fine = (
            config.coarse_channels,
            config.quarter_channels,
            config.half_channels,
        )
        same = eighth == wide
        self.to_eighth: nn.Module = nn.Identity() if same else nn.Conv2d(eighth, wide, 1)
        self.to_quarter = nn.Conv2d(quarter, middle, 1)
        self.above_quarter = nn.Conv2d(wide, middle, 1)
        self.mix_quarter = _mixed(middle)
        # A kernel of four pixels is centred between pixels, where the cells of 1/2 are.
        self.detail = nn.Sequential(
            nn.Conv2d(1, 8, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, fine, 3, padding=1),
        )
        self.above_half = nn.Conv2d(middle, fine, 1)
        self.mix_half = _mixed(fine)
        self.pixels = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, config.full_channels + 1, 3, padding=1),
        )

    def forward(self, image: Tensor) -> Pyramid:
        evened = F.instance_norm(image.float())
        eighth, quarter = self.trunk(evened)
        eighth = self.to_eighth(eighth)
        quarter = self.to_quarter(quarter) + _enlarged(self.above_quarter(_unit(eighth)))
        quarter = self.mix_quarter(quarter)
        half = self.mix_half(self.detail(evened) + _enlarged(self.above_half(quarter)))
        seen = self.pixels(evened)
        full = torch.cat((evened, seen[:, :-1], torch.sigmoid(seen[:, -1:])), 1)
        return Pyramid(eighth, _unit(quarter), _unit(half), full)

    def coarse(self, image: Tensor) -> Tensor:
        """Features at 1/8 alone, `(B, C, H / 8, W / 8)`."""
        return cast(Tensor, self.to_eighth(self.trunk(F.instance_norm(image.float()))[0]))


class LightTrunk(nn.Module):
    """0.6 million parameters; normalised images `(B, 1, H, W)` to features at 1/8 and 1/4."""

    channels = (64, 24)

    def __init__(self) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(1, 24, 1))
        self.stage1 = _stage((1, 4, 1), (4, 8, 2), (8, 8, 1), (8, 24, 2))
        self.stage2 = _stage((24, 24, 1), (24, 24, 1))
        self.stage3 = _stage((24, 64, 2), (64, 64, 1), (64, 64, 1, 1))
        self.stage4 = _stage((64, 64, 2), (64, 64, 1), (64, 64, 1))
        self.stage5 = _stage((64, 128, 2), (128, 128, 1), (128, 128, 1), (128, 64, 1, 1))
        self.fusion = nn.Sequential(*_stage((64, 64, 1), (64, 64, 1)), nn.Conv2d(64, 64, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        quarter = self.stage2(self.stage1(image) + self.shortcut(image))
        eighth = self.stage3(quarter)
        sixteenth = self.stage4(eighth)
        coarsest = self.stage5(sixteenth)
        size = eighth.shape[-2:]
        together = eighth
        for coarser in (sixteenth, coarsest):
            together = together + F.interpolate(coarser, size, mode="bilinear", align_corners=False)
        return self.fusion(together), quarter


def _stage(*layers: tuple[int, ...]) -> nn.Sequential:
    """Convolutions (inputs, outputs, stride[, side]), each normalised and rectified."""
    made = []
    for inputs, outputs, stride, *kernel in layers:
        side = kernel[0] if kernel else 3
        made.append(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False),
                nn.BatchNorm2d(outputs, affine=False),
                nn.ReLU(inplace=True),
            )
        )
    return nn.Sequential(*made)


def _mixed(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(channels, channels, 3, padding=1))


def _enlarged(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)


def _unit(features: Tensor) -> Tensor:
    seen = features.float()
    return seen * (seen.square().sum(1, keepdim=True) + 1e-12).rsqrt()
