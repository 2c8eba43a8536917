"""How far a trajectory is from the truth: ATE and RPE with the definitions of evo and KITTI.

A trajectory is a stack of homogeneous matrices (N, 4, 4), camera to world.

Sources: Umeyama, TPAMI 13(4), 1991 (alignment); Sturm et al., IROS 2012 (ATE, RPE); Geiger et al.,
CVPR 2012 (errors over segments of a length); evo (github.com/MichaelGrupp/evo) for which pairs of
frames are a segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.pose import rotation_angle_deg

Array = npt.NDArray[np.float64]

# Segments as shares of the distance travelled: KITTI's 100, 200, ... 800 m, for any sequence.
SEGMENT_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
SEGMENT_TOLERANCE = 0.1  # of its length; evo's `rel_delta_tol`


class TrajectoryError(ValueError):
    """Trajectories that cannot be compared; the message says why."""


@dataclass(frozen=True)
class Similarity:
    """`x_true = scale * rotation x + translation`."""

    rotation: Array  # (3, 3)
    translation: Array  # (3,)
    scale: float

    def apply(self, poses: Array) -> Array:
        """Poses (N, 4, 4) in the other frame."""
        moved = poses.copy()
        moved[:, :3, :3] = self.rotation @ poses[:, :3, :3]
        moved[:, :3, 3] = self.scale * poses[:, :3, 3] @ self.rotation.T + self.translation
        return moved


@dataclass(frozen=True)
class TrajectoryErrors:
    """`ate_m`: root mean square distance of the positions after alignment, in units of the truth.

    `rpe_trans_percent`, `rpe_rot_deg`: mean error of the motion over segments of 10, 20, ... 80 %
    of the distance, from every frame on: of the translation in percent of the segment's length, of
    the rotation in degrees (of the whole segment). `length`: distance, units of the truth.
    `scale_drift_percent`: how much larger the scale is at the end than at the beginning.
    """

    ate_m: float
    rpe_trans_percent: float
    rpe_rot_deg: float
    length: float
    scale_drift_percent: float


def align(truth: Array, estimate: Array, with_scale: bool) -> Similarity:
    """The rigid motion, or similarity, that brings the positions (N, 3) of `estimate` closest.

    Raises `TrajectoryError` for fewer than three positions, and for a similarity of positions that
    do not move.
    """
    if truth.shape != estimate.shape or len(truth) < 3:
        raise TrajectoryError(f"cannot align {len(estimate)} positions with {len(truth)}")
    mean_true, mean = truth.mean(0), estimate.mean(0)
    centred_true, centred = truth - mean_true, estimate - mean
    u, singular, vt = np.linalg.svd(centred_true.T @ centred / len(truth))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ flip @ vt
    scale = 1.0
    if with_scale:
        variance = float((centred**2).sum() / len(truth))
        if not variance > 1e-18:
            raise TrajectoryError("the estimated trajectory does not move: it has no scale")
        scale = float(np.trace(np.diag(singular) @ flip)) / variance
    return Similarity(rotation, mean_true - scale * rotation @ mean, scale)


def absolute_errors(truth: Array, estimate: Array) -> Array:
    """Distances (N,) between positions of poses (N, 4, 4), as they are."""
    return np.asarray(np.linalg.norm(truth[:, :3, 3] - estimate[:, :3, 3], axis=1))


def relative_errors(
    truth: Array, estimate: Array, starts: npt.ArrayLike, ends: npt.ArrayLike
) -> tuple[Array, Array]:
    """Errors of the motions from `starts` to `ends` (K,): length of the translation, degrees."""
    first, last = np.asarray(starts, np.int64), np.asarray(ends, np.int64)
    motion_true = np.linalg.inv(truth[first]) @ truth[last]
    motion = np.linalg.inv(estimate[first]) @ estimate[last]
    wrong = np.linalg.inv(motion_true) @ motion
    angles = np.array([rotation_angle_deg(matrix[:3, :3]) for matrix in wrong])
    return np.linalg.norm(wrong[:, :3, 3], axis=1), angles


def segments(truth: Array, length: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and last frames (S,) of the segments of `length` metres of `truth` (N, 4, 4): one from
    each frame where one fits.

    The last frame is the one whose travelled length from the first is nearest to `length`, the
    earlier of two; it fits within `SEGMENT_TOLERANCE`. As evo's RPE has it for metres, with
    `--all_pairs` and `--pairs_from_reference`.
    """
    travelled = distances(truth)
    starts = np.arange(len(travelled) - 1)
    wanted = travelled[starts] + length
    after = np.minimum(np.searchsorted(travelled, wanted), len(travelled) - 1)
    before = np.searchsorted(travelled, travelled[after - 1])  # of frames at one place the first
    off = [np.abs(travelled[one] - travelled[starts] - length) for one in (before, after)]
    ends = np.where(off[0] <= off[1], before, after)
    fits = np.minimum(*off) <= SEGMENT_TOLERANCE * length
    return starts[fits], ends[fits]


def scale_drift(truth: Array, estimate: Array) -> float:
    """By how many percent the scale of poses (N, 4, 4) grows against the truth, first to last.

    From a line through the logarithms of the scales of all segments of a tenth of the distance.
    NaN where they do not tell: fewer than two, or no distance between their ends.
    """
    travelled = distances(truth)
    starts, ends = segments(truth, SEGMENT_SHARES[0] * float(travelled[-1]))
    chords = [
        np.linalg.norm(poses[ends, :3, 3] - poses[starts, :3, 3], axis=1)
        for poses in (truth, estimate)
    ]
    # A segment that leads back to where it began says nothing.
    clear = (chords[0] > 0.1 * (travelled[ends] - travelled[starts])) & (chords[1] > 0)
    places = ((travelled[starts] + travelled[ends]) / 2)[clear] / travelled[-1]
    if len(places) < 2 or not np.ptp(places) > 0:
        return float("nan")
    slope = np.polyfit(places, np.log(chords[1][clear] / chords[0][clear]), 1)[0]
    return 100.0 * float(np.expm1(slope))


def distances(poses: Array) -> Array:
    """Length travelled up to each of the poses (N, 4, 4), (N,)."""
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def evaluate_trajectory(truth: Array, estimate: Array, with_scale: bool) -> TrajectoryErrors:
    """Judge poses (N, 4, 4) against the truth; `with_scale`: the estimate has no metric scale.

    Raises `TrajectoryError`.
    """
    similarity = align(truth[:, :3, 3], estimate[:, :3, 3], with_scale)
    aligned = similarity.apply(estimate)
    ate = float(np.sqrt((absolute_errors(truth, aligned) ** 2).mean()))
    length = float(distances(truth)[-1])
    if not length > 0:
        raise TrajectoryError("the true trajectory does not move")
    travelled, shares, angles = distances(truth), [], []
    for share in SEGMENT_SHARES:
        starts, ends = segments(truth, share * length)
        error, angle = relative_errors(truth, aligned, starts, ends)
        shares.append(error / (travelled[ends] - travelled[starts]))
        angles.append(angle)
    if not sum(map(len, shares)):
        raise TrajectoryError("no two frames are as far apart as a segment is long")
    return TrajectoryErrors(
        ate,
        100.0 * float(np.concatenate(shares).mean()),
        float(np.concatenate(angles).mean()),
        length,
        scale_drift(truth, aligned),
    )
