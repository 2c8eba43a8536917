"""The large backbone: the first three stages of a ResNet-34, the first of them at 1/2.

He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016; the strides are
those of LoFTR (Sun et al., CVPR 2021), whose coarse level is 1/8.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ResNetTrunk(nn.Module):
    """8.2 million parameters; normalised images `(B, 1, H, W)` to features at 1/8 and 1/4."""

    channels = (256, 128)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
        )
        self.stage1 = _stage(64, 64, blocks=3, stride=1)
        self.stage2 = _stage(64, 128, blocks=4, stride=2)
        self.stage3 = _stage(128, 256, blocks=6, stride=2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        quarter = self.stage2(self.stage1(self.stem(image)))
        return self.stage3(quarter), quarter


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(self.body(features) + self.shortcut(features))


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    first = _Block(inputs, outputs, stride)
    return nn.Sequential(first, *[_Block(outputs, outputs, 1) for _ in range(blocks - 1)])
