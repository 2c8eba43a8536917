"""What `msga vo` says of each estimator: records and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from msga_ros.evaluation.odometry.sequence_run import Run
    from msga_ros.evaluation.odometry.trajectory_error import TrajectoryErrors

NOTES = (
    "ATE after alignment (SE(3); mono Sim(3)); RPE over segments of 10-80 % of the distance; lost: "
    "frames whose motion, or its length, was guessed; scale drift: from the first frame to the "
    "last; ms: features, matches, filter and motion."
)


@dataclass(frozen=True)
class Row:
    """One estimator on one sequence; errors are None where there is no truth to compare with.

    `ate_m` and `rpe_*`: see `evaluation.odometry.trajectory_error.TrajectoryErrors`; in mono the
    trajectory is scaled to the truth first. `frames`: that have a pose, of `frames_in_all`; `lost`
    of these are guessed. `*_common`: the same errors over the `frames_common` that all estimators
    of the run have a pose for. `scale_drift_percent`: mono alone.
    """

    sequence: str
    mode: str
    estimator: str
    frames: int
    frames_in_all: int
    lost: int
    ate_m: float | None
    rpe_trans_percent: float | None
    rpe_rot_deg: float | None
    scale_drift_percent: float | None
    frames_common: int
    ate_m_common: float | None
    rpe_trans_percent_common: float | None
    rpe_rot_deg_common: float | None
    inliers: float | None
    ms_per_frame: float


def rows_of(name: str, mode: str, runs: Sequence[Run]) -> list[Row]:
    """The rows of all estimators on the sequence `name`; `mode`: stereo, rgbd or mono."""
    from msga_ros.evaluation.odometry.sequence_run import common_stamps

    common = common_stamps(runs)
    return [_row(name, mode, one, one.only(common)) for one in runs]


def _row(name: str, mode: str, one: Run, common: Run) -> Row:
    mono = mode == "mono"
    errors, shared = _errors(one, mono), _errors(common, mono)
    moved = [int(update.inlier.sum()) for update in one.updates if update.relative is not None]
    drift = None if errors is None or not mono else errors.scale_drift_percent
    return Row(
        sequence=name,
        mode=mode,
        estimator=one.estimator,
        frames=len(one.poses),
        frames_in_all=len(one.updates),
        lost=one.lost,
        ate_m=errors.ate_m if errors else None,
        rpe_trans_percent=errors.rpe_trans_percent if errors else None,
        rpe_rot_deg=errors.rpe_rot_deg if errors else None,
        scale_drift_percent=None if drift is None or math.isnan(drift) else drift,
        frames_common=len(common.poses),
        ate_m_common=shared.ate_m if shared else None,
        rpe_trans_percent_common=shared.rpe_trans_percent if shared else None,
        rpe_rot_deg_common=shared.rpe_rot_deg if shared else None,
        inliers=sum(moved) / len(moved) if moved else None,
        ms_per_frame=one.ms_per_frame,
    )


def _errors(one: Run, mono: bool) -> TrajectoryErrors | None:
    from msga_ros.evaluation.odometry.trajectory_error import TrajectoryError

    try:
        return one.errors(with_scale=mono)
    except TrajectoryError:  # too short, or it never moved: there is nothing to compare
        return None


def print_rows(console: Console, rows: Sequence[Row]) -> None:
    """The table of one sequence; a second one where the estimators have poses of other frames."""
    console.print(_table(rows))
    if len(rows) < 2:
        return
    if all(row.frames == row.frames_common for row in rows):
        console.print(f"All estimators have a pose for the same {rows[0].frames} frames.")
        return
    console.print("The errors above are over other frames for each estimator; compare these:")
    console.print(_common_table(rows))


def _table(rows: Sequence[Row]) -> Table:
    mono = rows[0].mode == "mono"
    table = Table(
        title=f"{escape(rows[0].sequence)} ({rows[0].mode})",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("estimator")
    headers = ["frames", "lost", "ATE m", "RPE trans %", "RPE rot deg"]
    headers += ["scale drift %"] if mono else []
    for header in (*headers, "inliers", "ms/frame"):
        table.add_column(header, justify="right")
    for row in rows:
        errors = [row.ate_m, row.rpe_trans_percent, row.rpe_rot_deg]
        errors += [row.scale_drift_percent] if mono else []
        table.add_row(
            escape(row.estimator),
            f"{row.frames}/{row.frames_in_all}",
            str(row.lost),
            *(_number(value) for value in errors),
            _number(row.inliers, 0),
            f"{row.ms_per_frame:.0f}",
        )
    return table


def _common_table(rows: Sequence[Row]) -> Table:
    table = Table(
        title=f"the {rows[0].frames_common} frames that all have a pose for",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("estimator")
    for header in ("ATE m", "RPE trans %", "RPE rot deg"):
        table.add_column(header, justify="right")
    for row in rows:
        errors = (row.ate_m_common, row.rpe_trans_percent_common, row.rpe_rot_deg_common)
        table.add_row(escape(row.estimator), *map(_number, errors))
    return table


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
