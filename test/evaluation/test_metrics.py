"""Metrics against values worked out by hand, and properties they must have."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared_path

from msga_ros.datasets.dumps import INLIER_THRESHOLD
from msga_ros.evaluation.metrics import (
    bootstrap_auc,
    pose_auc,
    pose_map,
    precision_recall_f,
)

errors_of_pairs = st.lists(st.floats(0.0, 180.0), min_size=1, max_size=40)


def test_auc_of_three_pairs_by_hand() -> None:
    # Recall goes (0, 0) - (1, 1/3) - (3, 2/3) - level; the third pair lies outside 5.
    upto5 = 0.5 * 1 * (1 / 3) + 0.5 * 2 * (1 / 3 + 2 / 3) + 2 * (2 / 3)
    upto10 = 0.5 * 1 * (1 / 3) + 0.5 * 2 * (1 / 3 + 2 / 3) + 5 * 0.5 * (2 / 3 + 1) + 2 * 1.0
    np.testing.assert_allclose(pose_auc([3.0, 8.0, 1.0], (5, 10)), [upto5 / 5, upto10 / 10])


def test_auc_agrees_with_the_trapezoid_rule_on_the_curve() -> None:
    errors = np.random.default_rng(1).exponential(8.0, 200)
    curve_x = np.concatenate(([0.0], np.sort(errors)))
    curve_y = np.arange(201) / 200
    for threshold, value in zip((5.0, 10.0, 20.0), pose_auc(errors), strict=True):
        inside = curve_x < threshold
        x = np.append(curve_x[inside], threshold)
        y = np.append(curve_y[inside], curve_y[inside][-1])
        assert value == pytest.approx(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / threshold)


def test_failures_pull_the_area_down_like_the_worst_error() -> None:
    with_failures = pose_auc([1.0, math.inf, math.nan, 2.0])
    np.testing.assert_allclose(with_failures, pose_auc([1.0, 180.0, 180.0, 2.0]))
    assert (with_failures < 0.5).all()
    assert (pose_auc([math.inf]) == 0).all()


def test_perfect_poses_have_area_one_and_no_pairs_have_none() -> None:
    np.testing.assert_allclose(pose_auc(np.zeros(7)), 1.0)
    assert np.isnan(pose_auc([])).all()
    assert np.isnan(pose_map([])).all()
    assert np.isnan(bootstrap_auc([])).all()


@given(errors_of_pairs)
def test_auc_does_not_depend_on_the_order_and_stays_near_the_step_integral(
    errors: list[float],
) -> None:
    values = pose_auc(errors)
    np.testing.assert_allclose(values, pose_auc(errors[::-1]), atol=1e-12)
    for threshold, value in zip((5.0, 10.0, 20.0), values, strict=True):
        step = np.mean(np.maximum(0.0, 1.0 - np.array(errors) / threshold))
        assert step - 1e-12 <= value <= step + 0.5 / len(errors) + 1e-12


@given(errors_of_pairs, st.floats(0.0, 1.0))
def test_auc_never_falls_when_every_error_shrinks(errors: list[float], factor: float) -> None:
    assert (pose_auc(np.array(errors) * factor) >= pose_auc(errors) - 1e-12).all()


def test_map_by_hand() -> None:
    # Shares under 5, 10, 15, 20 degrees: 2/5, 3/5, 3/5, 4/5; an error of exactly 5 is not under 5.
    values = pose_map([1.0, 4.9, 5.0, 19.0, math.nan])
    np.testing.assert_allclose(values, [0.4, (0.4 + 0.6) / 2, (0.4 + 0.6 + 0.6 + 0.8) / 4])
    with pytest.raises(ValueError, match="multiples of 5"):
        pose_map([1.0], (7.0,))


def test_bootstrap_interval_holds_the_value_and_narrows_with_more_pairs() -> None:
    generator = np.random.default_rng(2)
    few, many = generator.exponential(6.0, 40), generator.exponential(6.0, 1000)
    interval_few, interval_many = bootstrap_auc(few), bootstrap_auc(many)
    assert (interval_few[:, 0] < pose_auc(few)).all() and (pose_auc(few) < interval_few[:, 1]).all()
    assert (np.diff(interval_many, axis=1) < 0.5 * np.diff(interval_few, axis=1)).all()
    np.testing.assert_array_equal(interval_few, bootstrap_auc(few))


def test_bootstrap_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    truth = pose_auc(generator.exponential(6.0, 200_000))
    covered = 0
    for trial in range(60):
        low_high = bootstrap_auc(generator.exponential(6.0, 150), resamples=200, seed=trial)
        covered += int(low_high[1, 0] <= truth[1] <= low_high[1, 1])
    assert 49 <= covered <= 60


def test_precision_recall_f_by_hand() -> None:
    predicted = np.array([1, 1, 1, 0, 0, 0], bool)
    true = np.array([1, 0, 1, 1, 1, 0], bool)
    precision, recall, f = precision_recall_f(predicted, true)
    assert (precision, recall) == pytest.approx((2 / 3, 2 / 4))
    assert f == pytest.approx(2 * (2 / 3) * 0.5 / (2 / 3 + 0.5))


def test_precision_recall_f_of_empty_sets_are_zero() -> None:
    nothing, something = np.zeros(4, bool), np.ones(4, bool)
    assert precision_recall_f(nothing, something) == (0.0, 0.0, 0.0)
    assert precision_recall_f(something, nothing) == (0.0, 0.0, 0.0)
    assert precision_recall_f([], []) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("case", [0, 1, 2])
def test_precision_and_recall_are_those_that_the_published_program_recorded(case: int) -> None:
    with np.load(shared_path("golden/msga_net_parity.npz")) as golden:
        predicted = golden[f"case{case}/residual"] < INLIER_THRESHOLD
        true = golden[f"case{case}/label_residual"] < INLIER_THRESHOLD
        recorded = golden[f"case{case}/loss_total_essential_classif_precision_recall"][3:]
    of_pairs = [precision_recall_f(p, t)[:2] for p, t in zip(predicted, true, strict=True)]
    np.testing.assert_allclose(np.mean(of_pairs, axis=0), recorded, rtol=1e-5)
