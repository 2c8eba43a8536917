"""Second images that are turned against the first in their plane.

Features of a convolutional network stand a turn of some twenty degrees, no more. So where few
matches are found, the second image is tried turned as well: at half the size first, by how probable
its coarse matches are, then the best of them as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from msga_ros.network.dense.backbone import MULTIPLE
from msga_ros.network.dense.net import DenseMatcher, ImageFeatures

DEGREES = (30.0, -30.0, 60.0, -60.0, 90.0, -90.0, 180.0)


@dataclass(frozen=True)
class TurnedImage:
    """`pixels` (H, W) uint8, large enough for all of the image; `matrix` (2, 3): from pixels of the
    image to these."""

    pixels: NDArray[np.uint8]
    matrix: NDArray[np.float64]

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], degrees: float) -> TurnedImage:
        """Counter-clockwise about its middle; its edge is repeated in the corners."""
        height, width = pixels.shape
        cosine, sine = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
        size = (
            round(width * cosine + height * sine),
            round(width * sine + height * cosine),
        )
        middle = ((width - 1) / 2, (height - 1) / 2)
        matrix = np.asarray(cv2.getRotationMatrix2D(middle, degrees, 1.0), np.float64)
        matrix[:, 2] += (np.array(size) - 1) / 2 - middle
        turned = cv2.warpAffine(pixels, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        return cls(np.asarray(turned, np.uint8), matrix)

    def back(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points `(M, 2)` of these pixels in those of the image."""
        inverse = cv2.invertAffineTransform(self.matrix)
        return (points @ inverse[:, :2].T + inverse[:, 2]).astype(np.float32)


def padded(image: Tensor) -> Tensor:
    """`(1, 1, H, W)` with its last row and column repeated, to sides that the network takes."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")


def features_of(
    net: DenseMatcher, pixels: NDArray[np.uint8], device: torch.device
) -> ImageFeatures:
    """Of a grey image (H, W)."""
    image = torch.tensor(pixels, device=device)  # a copy: images may be read-only
    return net.features(padded(image[None, None].float() / 255.0))


@torch.inference_mode()
def best_turn(
    net: DenseMatcher,
    pixels0: NDArray[np.uint8],
    pixels1: NDArray[np.uint8],
    device: torch.device,
) -> float:
    """Of `DEGREES`, by how much the second image is turned when most of its cells seem to have a
    partner; 0 where that is so when it is not turned, and of images too small to tell."""
    if min(*pixels0.shape, *pixels1.shape) < 2 * MULTIPLE:
        return 0.0
    small0, small1 = (
        cv2.resize(one, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        for one in (pixels0, pixels1)
    )
    first = features_of(net, np.asarray(small0, np.uint8), device)
    best, most = 0.0, -1.0
    for degrees in (0.0, *DEGREES):
        turned = TurnedImage.of(np.asarray(small1, np.uint8), degrees).pixels
        second = features_of(net, turned, device)
        eighths = net.graph.between(first.graph, second.graph)
        cells0, cells1 = (one[0].flatten(1).T for one in eighths)
        expected = float(net.assignment.matches(cells0, cells1).log_probability.exp().sum())
        if expected > most:
            best, most = degrees, expected
    return best
