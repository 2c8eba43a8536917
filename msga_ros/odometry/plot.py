"""Trajectories seen from above, in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from msga_ros.odometry.evaluation import TrajectoryError, align
from msga_ros.odometry.running import Run

# Okabe and Ito: colours that colour-blind people can tell apart.
_COLOURS = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#009E73", "#CC79A7", "#F0E442")


def plot_trajectories(path: Path, name: str, runs: Sequence[Run], with_scale: bool) -> None:
    """Write a PNG: the plane in which the longest trajectory moves most, estimates aligned to the
    truth where that is known (`with_scale`: with their scale)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    longest = max(runs, key=lambda run: len(run.stamps))
    base = longest.poses if longest.truth is None else longest.truth
    centre, plane = _plane(base[:, :3, 3])
    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if longest.truth is not None:
        way = (longest.truth[:, :3, 3] - centre) @ plane
        axes.plot(*way.T, color="black", linewidth=3, alpha=0.5, label="truth")
    for number, run in enumerate(runs):
        way = (_positions(run, with_scale) - centre) @ plane
        colour = _COLOURS[number % len(_COLOURS)]
        axes.plot(
            *way.T, color=colour, linewidth=1.2, marker=".", markersize=3, label=run.estimator
        )
    unit = "" if with_scale and longest.truth is None else " (m)"
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel(f"along the first axis{unit}")
    axes.set_ylabel(f"along the second axis{unit}")
    axes.set_title(name)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def _positions(run: Run, with_scale: bool) -> npt.NDArray[np.float64]:
    positions = run.poses[:, :3, 3]
    if run.truth is None:
        return positions
    try:
        return align(run.truth[:, :3, 3], positions, with_scale).apply(run.poses)[:, :3, 3]
    except TrajectoryError:
        return positions


def _plane(
    positions: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    centre = positions.mean(axis=0)
    axes = np.linalg.svd(positions - centre, full_matrices=True)[2]
    return centre, axes[:2].T
