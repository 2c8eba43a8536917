"""A trajectory before and after its loops were closed, in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from msga_ros.evaluation.odometry.plot import COLOURS, main_plane
from msga_ros.whole_files import whole_file

Array = npt.NDArray[np.float64]


def plot_loops(
    path: Path, name: str, before: Array, after: Array, loops: Sequence[tuple[int, int]]
) -> None:
    """Write a PNG (or what the suffix says): positions (N, 3) by odometry and corrected, metres,
    NaN where unknown, in the plane in which the camera moves most; `loops`: pairs of rows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    known = before[np.isfinite(before).all(axis=1)]
    centre, plane = main_plane(known)
    tracks = [(positions - centre) @ plane for positions in (before, after)]
    for track, label, colour in zip(tracks, ("odometry", "corrected"), COLOURS, strict=False):
        axes.plot(*track.T, color=colour, label=label, linewidth=1.2, marker=".", markersize=3)
    ends = [tracks[1][[first, last]] for first, last in loops]
    lines = LineCollection(ends, colors=COLOURS[2], linewidths=0.8, label=f"{len(loops)} loops")
    axes.add_collection(lines)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("along the first axis (m)")
    axes.set_ylabel("along the second axis (m)")
    axes.set_title(name)
    axes.grid(alpha=0.3)
    axes.legend()
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=100, format=path.suffix.lstrip(".") or "png")
