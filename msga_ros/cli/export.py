"""`msga export`: a network as an ONNX file."""

from __future__ import annotations

import re
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
from msga_ros.network.dense.checkpoint import is_dense_checkpoint
from msga_ros.network.dense.net import DenseMatcher
from msga_ros.network.dense.onnx_check import difference_of_matches
from msga_ros.network.dense.onnx_export import export_dense_onnx
from msga_ros.network.inference import Inference, load_network
from msga_ros.network.onnx_export import export_onnx
from msga_ros.training.synthetic_scenes import synthetic_batch

_CHECKED = (100, 1000)  # matches
_NOT_COMPARED = "not compared with torch: onnxruntime is not installed"


def command(
    weights: Annotated[str, typer.Argument(help="A set in the package, or a checkpoint.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.onnx")],
    size: Annotated[
        str, typer.Option(metavar="WIDTHxHEIGHT", help="msga_dense: of the images, in pixels.")
    ] = "640x480",
    float32: Annotated[
        bool,
        typer.Option("--float32", help="Without double precision, for runtimes that have none."),
    ] = False,
) -> None:
    """Write a network as an ONNX file, for ONNX Runtime here or in another language."""
    with reported_errors():
        run(weights, output, size=size, float32=float32, console=console())


def run(
    weights: str,
    output: Path,
    *,
    size: str = "640x480",
    float32: bool = False,
    console: Console,
) -> None:
    """Write the file, and compare it with torch where ONNX Runtime is installed.

    Raises:
        UsageError: `output` is not called `.onnx`, or cannot be written; `size` is none.
        CheckpointError: the weights are missing or unreadable.
        OnnxExportError: a package that the export needs is missing, or images of that size
            cannot be taken.
    """
    if output.suffix != ".onnx":
        raise UsageError(f"{output}: the name must end in .onnx")
    writable_file(output, "ONNX file")
    path = find_weights(weights)
    pixels = _width_and_height(size)
    if is_dense_checkpoint(path):  # it has no double precision
        check = _export_dense(path, output, pixels)
    else:
        check = _export_sieve(path, output, float32)
    console.print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, {check}", highlight=False)


def _width_and_height(size: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", size)
    if not found:
        raise UsageError(f"--size must be like 640x480, not {size!r}")
    return int(found[1]), int(found[2])


def _export_sieve(path: Path, output: Path, float32: bool) -> str:
    """What the comparison with torch says."""
    net = MSGANet.load(path)
    export_onnx(net, output, float32)
    if find_spec("onnxruntime") is None:
        return _NOT_COMPARED
    return f"probabilities within {_difference(net, output):.1g} of torch"


def _export_dense(path: Path, output: Path, size: tuple[int, int]) -> str:
    net = DenseMatcher.load(path)
    export_dense_onnx(net, output, *size)
    if find_spec("onnxruntime") is None:
        return _NOT_COMPARED
    share, farthest = difference_of_matches(net, output)
    return f"{100 * share:.2f} % of torch's matches, their points within {farthest:.1g} px"


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
