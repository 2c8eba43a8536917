"""Measures of two-view estimates: pose AUC and mAP, precision / recall / F of the inliers.

A pair's pose error is the larger of its rotation and translation error, in degrees; a pair without
a pose has the error infinity. All shares are fractions in [0, 1]; tables print percent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

AUC_THRESHOLDS = (5.0, 10.0, 20.0)  # degrees
MAP_STEP = 5.0  # degrees: mAP averages the shares under 5, 10, 15, ... degrees

Floats = NDArray[np.float64]


def pose_auc(errors: ArrayLike, thresholds: Sequence[float] = AUC_THRESHOLDS) -> Floats:
    """Area under the recall-over-error curve up to each threshold, divided by the threshold.

    The curve is the one of SuperGlue's evaluation (Sarlin et al., CVPR 2020), integrated exactly:
    straight lines from (0, 0) through the points (i-th smallest error, i / n), level after the last
    point below the threshold. Errors that are infinite or NaN never count as recalled.

    Args:
        errors: (n,) degrees, or (b, n) for b samples of n pairs at once.
        thresholds: degrees, each positive.

    Returns:
        (t,) or (b, t) fractions; NaN where n is 0.
    """
    samples = np.atleast_2d(_failures_as_infinity(errors))
    count = samples.shape[1]
    areas = np.full((len(samples), len(thresholds)), np.nan)
    if count:
        ordered = np.sort(samples, axis=1)
        recall = np.arange(1, count + 1) / count
        for column, threshold in enumerate(thresholds):
            areas[:, column] = _areas_up_to(ordered, recall, float(threshold)) / threshold
    return areas if np.ndim(errors) == 2 else areas[0]


def pose_map(errors: ArrayLike, thresholds: Sequence[float] = AUC_THRESHOLDS) -> Floats:
    """Mean average precision of the pose: the mean of the shares under 5, 10, ... degrees.

    As in the literature on learned outlier removal (Yi et al., CVPR 2018, and what followed):
    mAP5 is the share of pairs with an error under 5 degrees, mAP10 the mean of the shares under 5
    and 10, mAP20 the mean of the shares under 5, 10, 15 and 20.

    Args:
        errors: (n,) degrees.
        thresholds: degrees, each a positive multiple of 5.

    Returns:
        (t,) fractions; NaN where n is 0.

    Raises:
        ValueError: if a threshold is not a positive multiple of 5.
    """
    values = _failures_as_infinity(errors)
    means = []
    for threshold in thresholds:
        steps = round(threshold / MAP_STEP)
        if steps < 1 or steps * MAP_STEP != threshold:
            raise ValueError(
                f"mAP is defined at multiples of {MAP_STEP:g} degrees, not {threshold}"
            )
        limits = MAP_STEP * np.arange(1, steps + 1)
        shares = [(values < limit).mean() if values.size else np.nan for limit in limits]
        means.append(float(np.mean(shares)))
    return np.array(means)


def bootstrap_auc(
    errors: ArrayLike,
    thresholds: Sequence[float] = AUC_THRESHOLDS,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Floats:
    """95 % interval of `pose_auc`: percentile bootstrap over the pairs.

    Pairs of one scene are not independent, so the interval is that of these scenes: read it as a
    lower bound on the uncertainty about other places.

    Returns:
        (t, 2) fractions, lower and upper end; NaN where there are no pairs.
    """
    values = np.asarray(errors, dtype=np.float64)
    if values.size == 0:
        return np.full((len(thresholds), 2), np.nan)
    drawn = np.random.default_rng(seed).integers(0, values.size, (resamples, values.size))
    return np.percentile(pose_auc(values[drawn], thresholds), (2.5, 97.5), axis=0).T


def precision_recall_f(predicted: ArrayLike, true: ArrayLike) -> tuple[float, float, float]:
    """Precision, recall and F of one pair's inliers; averaging over pairs is the caller's.

    Args:
        predicted, true: (N,) bool.

    Returns:
        Three fractions. An empty denominator (nothing predicted, nothing true) gives 0.
    """
    predicted = np.asarray(predicted, dtype=bool)
    true = np.asarray(true, dtype=bool)
    hits = float(np.count_nonzero(predicted & true))
    precision = hits / max(np.count_nonzero(predicted), 1)
    recall = hits / max(np.count_nonzero(true), 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-12)


def _failures_as_infinity(errors: ArrayLike) -> Floats:
    values = np.asarray(errors, dtype=np.float64)
    return np.where(np.isnan(values), np.inf, values)


def _areas_up_to(ordered: Floats, recall: Floats, threshold: float) -> Floats:
    """Integrals from 0 to `threshold`; `ordered` (b, n) ascending errors, `recall` (n,)."""
    counted = ordered < threshold
    clipped = np.where(counted, ordered, threshold)
    widths = np.diff(clipped, axis=1, prepend=0.0)
    heights = recall - 0.5 / len(recall)  # of the straight line between two neighbouring points
    trapezoids = np.where(counted, widths * heights, 0.0).sum(axis=1)
    reached = counted.sum(axis=1)
    last = np.where(reached > 0, ordered[np.arange(len(ordered)), np.maximum(reached - 1, 0)], 0.0)
    return trapezoids + (threshold - last) * reached / len(recall)
