"""`msga export`: a network as an ONNX file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console

from msga_ros.cli.errors import UsageError, reported_errors, writable_file
from msga_ros.cli.shared import console
from msga_ros.network import MSGANet, find_weights
from msga_ros.network.inference import Inference, load_network
from msga_ros.network.onnx_export import export_onnx
from msga_ros.training.synthetic_scenes import synthetic_batch

_CHECKED = (100, 1000)  # matches


def command(
    weights: Annotated[str, typer.Argument(help="A set in the package, or a checkpoint.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.onnx")],
) -> None:
    """Write a network as an ONNX file, for ONNX Runtime here or in another language."""
    with reported_errors():
        run(weights, output, console=console())


def run(weights: str, output: Path, *, console: Console) -> None:
    """Write the file, and compare it with torch where ONNX Runtime is installed.

    Raises:
        UsageError: `output` is not called `.onnx`, or cannot be written.
        CheckpointError: the weights are missing or unreadable.
        OnnxExportError: a package that the export needs is missing.
    """
    if output.suffix != ".onnx":
        raise UsageError(f"{output}: the name must end in .onnx")
    writable_file(output, "ONNX file")
    net = MSGANet.load(find_weights(weights))
    export_onnx(net, output)
    size = output.stat().st_size / 1e6
    if find_spec("onnxruntime") is None:
        check = "not compared with torch: onnxruntime is not installed"
    else:
        check = f"probabilities within {_difference(net, output):.1g} of torch"
    console.print(f"{output}: {size:.1f} MB, {check}", highlight=False)


def _difference(net: MSGANet, path: Path) -> float:
    """Largest difference of an inlier probability, over synthetic scenes of two sizes."""
    torch_network, onnx_network = Inference(net, "cpu"), Inference(load_network(path), "cpu")
    largest = 0.0
    for count in _CHECKED:
        scene = synthetic_batch(1, count, torch.Generator().manual_seed(0))
        matches, evidence = scene.correspondences[0].numpy(), scene.evidence[0].numpy()
        everyone = np.ones(len(matches), dtype=bool)
        one, other = (
            1 / (1 + np.exp(-network(matches, everyone, evidence).score))
            for network in (torch_network, onnx_network)
        )
        largest = max(largest, float(np.abs(one - other).max()))
    return largest
