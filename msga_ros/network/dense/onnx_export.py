"""The detector-free matcher as an ONNX file, for pairs of images of one size (`docs/onnx.md`)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from msga_ros.network.dense.backbone import MULTIPLE
from msga_ros.network.dense.checkpoint import FORMAT
from msga_ros.network.dense.config import COARSE
from msga_ros.network.dense.net import DenseMatcher
from msga_ros.network.onnx_export import OnnxExportError, write_onnx

INPUTS = ("image0", "image1")
OUTPUTS = ("points0", "points1", "confidence", "cells0", "cells1")
MOST = 2000  # matches of a pair


class _PairOfImages(nn.Module):
    """As `DenseMatcher.match`, with as many rows whatever the images."""

    def __init__(self, net: DenseMatcher, most: int) -> None:
        super().__init__()
        self.net = net
        self.most = most

    def forward(self, image0: Tensor, image1: Tensor) -> tuple[Tensor, ...]:
        net = self.net
        first, second = (net.features(image, blocks=False) for image in (image0, image1))
        eighths = net.graph.between(first.graph, second.graph)
        cells0, cells1 = (one[0].flatten(1).T for one in eighths)
        coarse, matched = net.assignment.best(cells0, cells1, self.most)
        found = net.refined(first, second, eighths, coarse)
        confidence = found.confidence * matched
        order = confidence.topk(self.most).indices
        values = (found.points0, found.points1, confidence, coarse.cells0, coarse.cells1)
        return tuple(one[order] for one in values)


def export_dense_onnx(net: DenseMatcher, path: str | Path, width: int, height: int) -> None:
    """Write `net`, for grey images of that many pixels, to an ONNX file.

    Inputs `image0`, `image1` (1, 1, height, width) float32 in [0, 1]. Outputs, M rows, the surest
    first: `points0`, `points1` (M, 2) float32 pixels, `confidence` (M,) float32, 0 of rows that are
    no match, `cells0`, `cells1` (M,) int64, the cells of 1/8 they are from. M is 2000, or the
    number of cells. The metadata hold the structure (`config`, JSON), `width` and `height`.

    Raises:
        OnnxExportError: sides that the network does not take, or a package that is not installed.
    """
    if width % MULTIPLE or height % MULTIPLE or min(width, height) <= 0:
        raise OnnxExportError(
            f"width and height must be multiples of {MULTIPLE}, not {width} and {height}"
        )
    most = min(MOST, width * height // COARSE**2)
    write_onnx(
        path,
        _PairOfImages(net, most).eval(),
        tuple(torch.rand(1, 1, height, width) for _ in INPUTS),
        INPUTS,
        OUTPUTS,
        {
            "format": FORMAT,
            "config": json.dumps(dataclasses.asdict(net.config)),
            "width": str(width),
            "height": str(height),
        },
        optimised=False,  # a large graph: the passes of onnxscript take as long as the rest
    )
