"""Trainings that go on in the time that is left, a share each."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from records import Entry, Records

from msga_ros.training.config import TrainConfig
from msga_ros.training.trainer import train


def continue_trainings(records: Records, configurations: list[str], folder: Path) -> None:
    """Each of `configurations` is FILE.yaml=SHARE[:ITERATIONS]; runs go to subfolders of `folder`,
    from which a later call goes on."""
    shares = [float(entry.split("=")[1].split(":")[0]) for entry in configurations]
    budget = records.left() - 10.0 * len(configurations)
    for entry, share in zip(configurations, shares, strict=True):
        path, _, rest = entry.partition("=")
        iterations = int(rest.split(":")[1]) if ":" in rest else 0
        seconds = budget * share / sum(shares)
        records.measure(
            "continuation",
            f"{Path(path).stem} {seconds:.0f} s",
            lambda p=path, i=iterations, s=seconds: _train(records, p, i, s, folder),  # type: ignore[misc]
            needs=5,
        )


def _train(records: Records, path: str, iterations: int, seconds: float, folder: Path) -> Entry:
    config = TrainConfig.load(path)
    config = dataclasses.replace(config, output=str(folder / Path(path).stem))
    if iterations:
        optimiser = dataclasses.replace(config.optimiser, iterations=iterations)
        config = dataclasses.replace(config, optimiser=optimiser)
    half = "bf16-mixed" if records.device.type == "cuda" else "32-true"
    weights = train(
        config,
        max_seconds=seconds,
        accelerator=records.device.type,
        precision=half,  # type: ignore[arg-type]
        progress=False,
        compiled=records.device.type == "cuda",
    )
    rows = (weights.parent / "log.csv").read_text().splitlines()
    last = dict(zip(rows[0].split(","), rows[-1].split(","), strict=True))
    entry: Entry = {name: float(value) for name, value in last.items()}
    return entry
