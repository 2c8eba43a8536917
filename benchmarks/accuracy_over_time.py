"""How much accuracy for how much time: estimators under several budgets, pair by pair in turns.

    python benchmarks/accuracy_over_time.py DUMP [--weights NAME] [--stride 1] [--json FILE]

The classical estimators with less and more sampling than usual, the network with fewer matches and
less sampling, by torch and (where the extra `onnx` is installed) by ONNX Runtime. One thread. Time
is from the matches to the pose, the network's included in full; the ratios are to the estimator
named by `--reference`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from msga_ros.datasets.dumps import DumpFile, Pair
from msga_ros.evaluation.estimators import Estimator, SharedSieve, create
from msga_ros.evaluation.metrics import pose_auc
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.network import MSGANet, find_weights
from msga_ros.network.onnx_export import export_onnx
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.sieves.msga import MSGASieve, NetworkConfig

_SAMPLING = {
    "": {},
    "at most 1000 samples": {"pose.max_iterations": 1_000},
    "confidence 0.99": {"pose.confidence": 0.99},
    "100,000 samples, confidence 0.999999": {
        "pose.max_iterations": 100_000,
        "pose.confidence": 0.999999,
    },
}
_QUICK = {"pose.confidence": 0.99, "pose.min_lead": 0.0}
_NETWORK = {
    "": {},
    "no second motion": {"pose.min_lead": 0.0},
    "300 matches, confidence 0.99, no second motion": {**_QUICK, "frontend.max_matches": 300},
    "150 matches, confidence 0.99, no second motion": {**_QUICK, "frontend.max_matches": 150},
}


@dataclass
class Row:
    """An estimator under one budget, and what it did so far."""

    name: str
    budget: str
    estimator: Estimator
    errors: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    iterations: list[int] = field(default_factory=list)

    def take(self, pair: Pair) -> None:
        """Estimate, and note the error, the time and the samples."""
        estimate = self.estimator(pair)
        error = float("inf")
        if estimate.success:
            error = max(
                pose_error_deg(
                    estimate.rotation, estimate.translation, pair.rotation, pair.translation
                )
            )
        self.errors.append(error)
        self.milliseconds.append(estimate.milliseconds)
        self.iterations.append(estimate.iterations)

    def figures(self) -> dict[str, object]:
        """AUC in percent, milliseconds and iterations a pair."""
        auc5, auc10, auc20 = 100 * pose_auc(self.errors)
        return {
            "estimator": self.name,
            "budget": self.budget,
            "auc5": float(auc5),
            "auc10": float(auc10),
            "auc20": float(auc20),
            "ms": float(np.mean(self.milliseconds)),
            "iterations": float(np.mean(self.iterations)),
        }


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dump", type=Path)
    parser.add_argument("--weights", default="msga_net_lite")
    parser.add_argument("--stride", type=int, default=1, help="every so many pairs")
    parser.add_argument("--reference", default="ratio+poselib")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = [*_classical(), *_learned(arguments.weights, Path(folder))]
        with DumpFile(arguments.dump) as dump:
            for row in rows:  # what is done the first time does not count
                row.estimator(dump[0])
            for index in track(range(0, len(dump), arguments.stride), console=Console(stderr=True)):
                pair = dump[index]
                for row in rows:
                    row.take(pair)
    figures = [row.figures() for row in rows]
    _print(figures, arguments.reference)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _classical() -> Iterator[Row]:
    for name in ("ratio+poselib", "mutual+ratio+poselib"):
        for budget, settings in _SAMPLING.items():
            yield Row(name, budget, create(name, PipelineConfig.load(None, **settings)))


def _learned(weights: str, folder: Path) -> Iterator[Row]:
    path = find_weights(weights)
    runtimes = {"": path}
    if find_spec("onnxruntime") and find_spec("onnxscript"):
        runtimes[", ONNX Runtime"] = folder / "net.onnx"
        export_onnx(MSGANet.load(path), runtimes[", ONNX Runtime"])
    for runtime, file in runtimes.items():
        sieve = MSGASieve.load(NetworkConfig(weights=str(file), device="cpu"))
        for budget, settings in _NETWORK.items():
            config = PipelineConfig.load(None, **settings)
            # A network each: what another has judged is not to be had for nothing.
            estimator = create("msga+poselib", config, SharedSieve(sieve))
            yield Row(f"msga+poselib{runtime}", budget, estimator)


def _print(figures: list[dict[str, object]], reference: str) -> None:
    base = next(float(str(row["ms"])) for row in figures if row["estimator"] == reference)
    print(f"| estimator | budget | AUC@5/10/20 | ms | to {reference} | iterations |")
    print("|---|---|---|---|---|---|")
    for row in figures:
        print(
            f"| `{row['estimator']}` | {row['budget'] or 'as usual'} "
            f"| {row['auc5']:.1f} / {row['auc10']:.1f} / {row['auc20']:.1f} "
            f"| {row['ms']:.1f} | {float(str(row['ms'])) / base:.2f} | {row['iterations']:.0f} |"
        )


if __name__ == "__main__":
    main()
