"""Motions by the batch: local refinement under a robust loss, cost, and which of them are one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import poselib  # type: ignore[import-untyped]

from msga_ros.geometry.robust.base import Array

# Points are normalised, so one "pixel" of this camera is one normalised unit: thresholds too.
UNIT_CAMERA = {"model": "PINHOLE", "width": 2, "height": 2, "params": [1.0, 1.0, 0.0, 0.0]}


@dataclass(frozen=True)
class Motions:
    """S motions `x1 = R x0 + t`; the sign of `t` is free, as in all epipolar distances."""

    rotation: Array  # (S, 3, 3)
    translation: Array  # (S, 3), unit

    def __len__(self) -> int:
        return len(self.rotation)

    def __getitem__(self, chosen: npt.NDArray[np.int64] | slice) -> Motions:
        return Motions(self.rotation[chosen], self.translation[chosen])

    @property
    def essential(self) -> Array:
        """`(S, 3, 3)`, Frobenius norm 1."""
        across = np.zeros((len(self), 3, 3))
        across[:, [2, 0, 1], [1, 2, 0]] = self.translation / np.sqrt(2.0)
        return (across - across.transpose(0, 2, 1)) @ self.rotation


def joined(parts: list[Motions]) -> Motions:
    """All motions of `parts`, one after the other."""
    return Motions(
        np.concatenate([part.rotation for part in parts]),
        np.concatenate([part.translation for part in parts]),
    )


def refined(
    motions: Motions,
    correspondences: Array,
    scale: float,
    loss: Literal["CAUCHY", "TRUNCATED"],
    iterations: int,
) -> Motions:
    """Each motion after at most so many Levenberg-Marquardt steps on the Sampson distances.

    Args:
        correspondences: `(N, 4)`, normalised coordinates, N > 5.
        scale: of the loss, normalised units: the distance from which Cauchy's loss doubts a match,
            and the truncated one ignores it.
    """
    points0 = np.ascontiguousarray(correspondences[:, :2])
    points1 = np.ascontiguousarray(correspondences[:, 2:])
    options = {"loss_type": loss, "loss_scale": scale, "max_iterations": iterations}
    rotation, translation = np.empty((len(motions), 3, 3)), np.empty((len(motions), 3))
    pose = poselib.CameraPose()
    for index in range(len(motions)):
        pose.R, pose.t = motions.rotation[index], motions.translation[index]
        better, _ = poselib.refine_relative_pose(
            points0, points1, pose, UNIT_CAMERA, UNIT_CAMERA, options
        )
        rotation[index], translation[index] = better.R, better.t
    length = np.linalg.norm(translation, axis=1, keepdims=True)
    sound = np.isfinite(rotation).all((1, 2)) & np.isfinite(length[:, 0]) & (length[:, 0] > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        direction = translation / length
    return Motions(  # where a refinement failed, its start stays
        np.where(sound[:, None, None], rotation, motions.rotation),
        np.where(sound[:, None], direction, motions.translation),
    )


def truncated_costs(motions: Motions, correspondences: Array, threshold: float) -> Array:
    """`(S, N)`: squared Sampson distance of each match over the squared threshold, 1 at most.

    Its sum over the matches is the cost of MSAC (Torr and Zisserman, "MLESAC", CVIU 2000).
    """
    first, second = _homogeneous(correspondences[:, :2]), _homogeneous(correspondences[:, 2:])
    essential = motions.essential
    line_in_second = essential @ first  # (S, 3, N)
    line_in_first = essential.transpose(0, 2, 1) @ second
    error = (second * line_in_second).sum(1)
    normal = (line_in_second[:, :2] ** 2).sum(1) + (line_in_first[:, :2] ** 2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = error**2 / (normal * threshold**2)
    return np.minimum(np.nan_to_num(ratio, nan=1.0), 1.0)


def _homogeneous(points: Array) -> Array:
    """`(3, N)` from `(N, 2)`."""
    return np.vstack([points.T, np.ones(len(points))])


def best_distinct(motions: Motions, costs: Array, keep: int, angle: float) -> npt.NDArray[np.int64]:
    """Indices of the `keep` motions of least cost `(S,)`, best first, no two of which are alike.

    Two are alike when their essential matrices, as unit vectors of nine entries, are within `angle`
    (rad) of each other up to sign.
    """
    order = np.argsort(costs, kind="stable")
    flat = motions.essential.reshape(-1, 9)[order]
    likeness = np.abs(flat @ flat.T)
    chosen: list[int] = []
    for index in range(len(order)):
        if not chosen or likeness[index, chosen].max() < np.cos(angle):
            chosen.append(index)
        if len(chosen) == keep:
            break
    return order[chosen]


def thinned(rows: Array, most: int) -> Array:
    """At most `most` of the `rows` (N, ...), evenly over their order."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
