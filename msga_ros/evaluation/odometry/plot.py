"""Trajectories seen from above, in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from msga_ros.evaluation.odometry.sequence_run import Run
from msga_ros.evaluation.odometry.trajectory_error import TrajectoryError, align, distances
from msga_ros.whole_files import whole_file

# Okabe and Ito: colours that colour-blind people can tell apart; the two blues lie far apart, and
# where all are used, they begin again with other dashes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")
_LINES = ("-", "--", ":", "-.")


def plot_trajectories(path: Path, name: str, runs: Sequence[Run], with_scale: bool) -> None:
    """Write a PNG: the plane in which the longest trajectory moves most, estimates aligned to the
    truth where that is known (`with_scale`: with their scale); and below, their distances from the
    truth along the path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    longest = max(runs, key=lambda run: len(run.stamps))
    base = longest.poses if longest.truth is None else longest.truth
    judged = any(run.truth is not None for run in runs)
    figure = Figure(figsize=(7.0, 8.0 if judged else 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    heights = [3, 2] if judged else [1]
    rows = figure.subplots(len(heights), squeeze=False, height_ratios=heights)[:, 0]
    axes = rows[0]
    centre, plane = main_plane(base[:, :3, 3])
    if longest.truth is not None:
        track = (longest.truth[:, :3, 3] - centre) @ plane
        axes.plot(*track.T, color="black", linewidth=3, alpha=0.5, label="truth")
    unit = "" if with_scale and longest.truth is None else " (m)"
    for number, run in enumerate(runs):
        positions, colour = _positions(run, with_scale), COLOURS[number % len(COLOURS)]
        line = _LINES[number // len(COLOURS) % len(_LINES)]
        style: dict[str, object] = {
            "linewidth": 1.2, "linestyle": line, "marker": ".", "markersize": 3,
        }  # fmt: skip
        track = (positions - centre) @ plane
        axes.plot(*track.T, color=colour, label=run.estimator, **style)
        if run.truth is not None:
            off = np.linalg.norm(positions - run.truth[:, :3, 3], axis=1)
            rows[1].plot(distances(run.truth), off, color=colour, label=run.estimator, **style)
    if judged:
        rows[1].set_xlabel("distance travelled (m)")
        rows[1].set_ylabel("distance from the truth (m)")
        rows[1].set_ylim(bottom=0)
        rows[1].grid(alpha=0.3)
        rows[1].legend()
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel(f"along the first axis{unit}")
    axes.set_ylabel(f"along the second axis{unit}")
    axes.set_title(name)
    axes.grid(alpha=0.3)
    axes.legend()
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=100, format=path.suffix.lstrip(".") or "png")


def _positions(run: Run, with_scale: bool) -> npt.NDArray[np.float64]:
    positions = run.poses[:, :3, 3]
    if run.truth is None:
        return positions
    try:
        return align(run.truth[:, :3, 3], positions, with_scale).apply(run.poses)[:, :3, 3]
    except TrajectoryError:
        return positions


def main_plane(
    positions: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centre (3,) of positions (N, 3) and the two axes (3, 2) along which they move most."""
    centre = positions.mean(axis=0)
    axes = np.linalg.svd(positions - centre, full_matrices=True)[2]
    return centre, axes[:2].T
