"""Whether an exported matcher finds what torch finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from msga_ros.network.dense.net import DenseMatcher
from msga_ros.network.dense.onnx_export import INPUTS, OUTPUTS

_MOVED = (8, 16)  # pixels, of the second image against the first


def difference_of_matches(net: DenseMatcher, path: str | Path) -> tuple[float, float]:
    """On a drawn picture and the same one moved and darker: which share of torch's matches of cells
    the file finds, and how far apart points of the same match are at most, in pixels."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    _, _, height, width = session.get_inputs()[0].shape
    images = _pictures(height, width)
    feed = {name: image.numpy() for name, image in zip(INPUTS, images, strict=True)}
    found = dict(zip(OUTPUTS, session.run(list(OUTPUTS), feed), strict=True))
    with torch.inference_mode():
        first, second = (net.features(image) for image in images)
        expected = net.match(first, second, len(found["confidence"]))
    kept = found["confidence"] > 0
    points = _by_cells(*(found[name][kept] for name in ("cells0", "cells1", "points1")))
    wanted = _by_cells(
        expected.coarse.cells0.numpy(), expected.coarse.cells1.numpy(), expected.points1.numpy()
    )
    distances = [
        float(np.linalg.norm(points[cells] - point))
        for cells, point in wanted.items()
        if cells in points
    ]
    return len(distances) / max(1, len(wanted)), max(distances, default=0.0)


def _by_cells(
    cells0: NDArray[np.int64], cells1: NDArray[np.int64], points1: NDArray[np.float32]
) -> dict[tuple[int, int], NDArray[np.float32]]:
    pairs = zip(cells0.tolist(), cells1.tolist(), strict=True)
    return dict(zip(pairs, points1, strict=True))


def _pictures(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Spots of several sizes, `(1, 1, height, width)` each."""
    draw = torch.Generator().manual_seed(0)
    size = (height + _MOVED[1], width + _MOVED[0])
    whole = torch.zeros(1, 1, *size)
    for step in (4, 8, 32):
        spots = torch.rand(1, 1, size[0] // step + 1, size[1] // step + 1, generator=draw)
        whole = whole + F.interpolate(spots, size, mode="bilinear", align_corners=False) / 3
    return whole[..., :height, :width], whole[..., _MOVED[1] :, _MOVED[0] :] * 0.8
