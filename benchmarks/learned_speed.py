"""The networks of `xfeat`, `disk` and `aliked` on a CPU: layouts in memory, and ONNX Runtime.

    OMP_NUM_THREADS=1 python benchmarks/learned_speed.py [--size 640 480] [--repeats 5] [NAME...]

Of each front end the part that sees the whole image runs by torch with the channels of a pixel
apart (`torch`) and beside each other (`channels last`), and by ONNX Runtime, in turns on the same
image. Prints the median CPU milliseconds, the ratio to `torch`, and the largest difference of an
output.
Needs the extra `learned`, and onnx, onnxscript and onnxruntime.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from msga_ros.frontend import FRONTENDS
from msga_ros.frontend.config import FrontendConfig

NAMES = ("xfeat", "disk", "aliked")
Outputs = list[np.ndarray]


class _Dense(torch.nn.Module):
    """What of a front end's network sees the whole image."""

    def __init__(self, name: str, network: torch.nn.Module) -> None:
        super().__init__()
        self.name, self.network = name, network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(1, 1 or 3, H, W) in [0, 1] to maps of features and scores."""
        if self.name == "xfeat":
            return tuple(self.network.net(image))  # type: ignore[operator]
        if self.name == "disk":
            return (self.network.unet(image),)  # type: ignore[operator]
        return tuple(self.network.extract_dense_map(image))  # type: ignore[operator]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES, choices=NAMES)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), help="multiples of 32")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}, one thread")
    print("| front end | by | CPU ms | to torch | differs by |\n|---|---|---|---|---|")
    for name in options.names:
        for row in rows(name, tuple(options.size), options.repeats):
            print(f"| {' | '.join(row)} |", flush=True)


def rows(name: str, size: tuple[int, int], repeats: int) -> list[list[str]]:
    """Name, way, milliseconds, ratio, difference."""
    noise = np.random.default_rng(0).random((1, 3, size[1] // 8, size[0] // 8), np.float32)
    image = torch.nn.functional.interpolate(torch.from_numpy(noise), scale_factor=8, mode="bicubic")
    image = image.clamp(0.0, 1.0)
    if name == "xfeat":
        image = image.mean(1, keepdim=True)
    ways = _ways(name, image)
    found = {way: run() for way, run in ways.items()}  # not counted: libraries allocate
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, run in ways.items():
            started = time.process_time()
            run()
            times[way].append(1e3 * (time.process_time() - started))
    median = {way: statistics.median(values) for way, values in times.items()}
    made = []
    for way, outputs in found.items():
        pairs = zip(outputs, found["torch"], strict=True)
        off = max(float(np.abs(one - other).max()) for one, other in pairs)
        ratio = median[way] / median["torch"]
        made.append([name, way, f"{median[way]:.0f}", f"{ratio:.2f}", f"{off:.0e}"])
    return made


def _ways(name: str, image: Tensor) -> dict[str, Callable[[], Outputs]]:
    front_end = FRONTENDS.load(name).create(FrontendConfig(name=name, device="cpu"))
    network = front_end._network._on_cpu.module
    network.to(memory_format=torch.contiguous_format)
    plain = _Dense(name, network).eval()
    beside: torch.nn.Module = copy.deepcopy(plain)
    beside.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    moved = image.contiguous(memory_format=torch.channels_last)
    session = _session(plain, image)
    values = {session.get_inputs()[0].name: image.numpy()}
    return {
        "torch": lambda: _run(plain, image),
        "channels last": lambda: _run(beside, moved),
        "ONNX Runtime": lambda: session.run(None, values),
    }


@torch.inference_mode()
def _run(module: torch.nn.Module, image: Tensor) -> Outputs:
    return [one.numpy() for one in module(image)]


def _session(module: torch.nn.Module, image: Tensor) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        path = Path(folder) / "network.onnx"
        torch.onnx.export(module, (image,), path, dynamo=True, verbose=False, external_data=False)
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
