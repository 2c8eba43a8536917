"""Is there another motion that explains the matches as well as the one that was found?

Over short baselines a turn and a sideways step move the image alike, a plane is seen alike under
two motions, and an estimator returns one of two minima that are equal but for the noise. The
covariance knows only the minimum that it is computed in; this module looks for another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.robust.base import Array, RobustEstimate, verified
from msga_ros.geometry.robust.homography import Homography, homography_of_most
from msga_ros.geometry.robust.refinement import (
    Motions,
    best_distinct,
    joined,
    refined,
    thinned,
    truncated_costs,
)
from msga_ros.geometry.robust.starts import starts_of_one_rotation

_MOST = 150  # matches looked at while there are many rivals
_HOPELESS = 3.0  # a deficit above this on those: no rival
_ALIKE = np.deg2rad(5.0)
_KEPT = 4
_QUARTERS = 4  # directions across the one that was found
# Two motions before one plane. What their distances differ by there is no independent noise of
# each match: the costs of both, before a plane alone, were up to 4.5 standard errors apart. Off the
# plane each match is a witness. The leads were chosen on the development places.
_EXPLAINS = 0.9  # of the plane's matches, then a motion explains the plane
_PART = 0.3  # of the matches of a motion that lie on it, then a plane counts
_STEP = 10.0  # thresholds that it moves by, turn aside; below, all is a plane within the noise
_LEAD_OVERALL = 5.0
_LEAD_OFF_PLANE = 2.5


@dataclass(frozen=True)
class Rival:
    """The strongest other motion.

    `deficit` says by how many standard errors its cost (truncated squared Sampson distances) is
    above that of the motion it rivals, the costs compared match by match: under 1 or so the matches
    do not tell which of them is right, and below zero the rival fits better. Where both explain
    one plane, it is in units of the lead that tells motions before a plane apart.

    Source of the comparison: Vuong, "Likelihood ratio tests for model selection and non-nested
    hypotheses", Econometrica 1989.
    """

    motion: RobustEstimate
    deficit: float


def strongest_rival(
    points0: Array, points1: Array, found: RobustEstimate, threshold: float, angle_deg: float
) -> Rival | None:
    """The other motion, more than `angle_deg` from `found`, that explains the matches best.

    Args:
        points0, points1: `(N, 2)`, normalised coordinates without NaN: the matches that `found` was
            estimated from, outliers and all.
        found: a success.
        threshold: largest Sampson distance of an inlier, normalised units.
        angle_deg: by rotation or by direction of translation, whose sign does not count.

    None where nothing comes close. Local refinements from 13 to 17 starts, most of which end on a
    part of the matches: a few milliseconds.
    """
    rows = np.ascontiguousarray(np.hstack([points0, points1]))
    own = Motions(found.rotation[None], found.translation[None])
    plane = homography_of_most(rows, found.inlier, threshold)
    around = joined([starts_of_one_rotation(rows[found.inlier]), _across(own), *_twins(plane)])
    part = thinned(rows, _MOST)
    others = refined(around, part, 2 * threshold, "CAUCHY", 8)
    near = _deficits(others, own, part, 2 * threshold) < _HOPELESS
    others = others[np.flatnonzero(near & (_angles(others, own) > angle_deg))]
    if not len(others):
        return None
    costs = truncated_costs(others, part, 2 * threshold).sum(1)
    others = others[best_distinct(others, costs, _KEPT, _ALIKE)]
    others = refined(others, rows, 2 * threshold, "TRUNCATED", 8)
    others = refined(others, rows, threshold, "TRUNCATED", 10)
    own = refined(own, rows, threshold, "TRUNCATED", 10)
    deficits = _deficits(others, own, rows, threshold)
    if plane is not None:
        deficits = _before_plane(deficits, others, own, rows, plane.agree, threshold)
    for index in np.argsort(deficits, kind="stable"):
        motion = verified(others.essential[index], points0, points1, threshold)
        # Its points must lie in front of the cameras as those of the motion that was found.
        in_front = 2 * motion.inlier.sum() > found.inlier.sum()
        if in_front and _angles(others[index : index + 1], own)[0] > angle_deg:
            return Rival(motion, float(deficits[index]))
    return None


def _across(own: Motions) -> Motions:
    """The same rotation with directions across the translation."""
    sideways = np.linalg.svd(own.translation)[2][1:]
    phase = np.arange(_QUARTERS) * np.pi / _QUARTERS
    directions = np.column_stack([np.cos(phase), np.sin(phase)]) @ sideways
    return Motions(np.repeat(own.rotation, _QUARTERS, 0), directions)


def _deficits(others: Motions, own: Motions, rows: Array, threshold: float) -> Array:
    """`(S,)`: sum of the differences of cost over its standard error."""
    difference = truncated_costs(others, rows, threshold) - truncated_costs(own, rows, threshold)
    error = np.sqrt((difference**2).sum(1))
    return difference.sum(1) / np.maximum(error, 1e-9)


def _twins(plane: Homography | None) -> list[Motions]:
    return [] if plane is None else [Motions(plane.rotation, plane.translation)]


def _before_plane(
    deficits: Array,
    others: Motions,
    own: Motions,
    rows: Array,
    plane: npt.NDArray[np.bool_],
    threshold: float,
) -> Array:
    """`deficits` `(S,)`; of the others that explain the `plane` `(N,)` as `own` does, in leads.

    A clear lead over all matches, or a smaller one off the plane, tells the two apart.
    """
    explained = truncated_costs(joined([own, others]), rows, threshold) < 1.0
    step = _median_step(own, rows[plane])
    if plane.sum() < _PART * explained[0].sum() or step < _STEP * threshold:
        return deficits
    whole = explained[:, plane].mean(1) > _EXPLAINS
    off_plane = _deficits(others, own, rows[~plane], threshold)
    lead = np.maximum(deficits / _LEAD_OVERALL, off_plane / _LEAD_OFF_PLANE)
    return np.where(whole[0] & whole[1:], lead, deficits)


def _median_step(own: Motions, rows: Array) -> float:
    """How far a match (N, 4) moves beyond what the turn of `own` (1,) does, normalised units."""
    turned = np.column_stack([rows[:, :2], np.ones(len(rows))]) @ own.rotation[0].T
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.median(np.linalg.norm(turned[:, :2] / turned[:, 2:] - rows[:, 2:], axis=1)))


def _angles(others: Motions, own: Motions) -> Array:
    """`(S,)`: the larger of both angles to `own` (1,), degrees; of translations up to sign."""
    turned = np.einsum("sij,ij->s", others.rotation, own.rotation[0])
    along = np.abs(others.translation @ own.translation[0])
    cosine = np.minimum((turned - 1) / 2, along)
    return np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0)))
