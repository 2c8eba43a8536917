"""Estimators on pairs with a known motion, synthetic and real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from shared_data import shared_path
from synthetic_dump import random_network, synthetic_pair

from msga_ros.datasets.dumps import DumpFile, Pair
from msga_ros.evaluation import estimators
from msga_ros.evaluation.estimators import (
    DEFAULT_ESTIMATORS,
    Estimate,
    EstimatorError,
    SharedSieve,
    available,
    create,
    sieve_of,
)
from msga_ros.evaluation.metrics import precision_recall_f
from msga_ros.frontend.config import FrontendConfig
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.geometry.robust.base import RobustEstimate, failure
from msga_ros.network import MSGANet, MSGANetConfig
from msga_ros.network.match_scores import MatchScores
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.sieves.msga import MSGASieve, NetworkConfig
from msga_ros.two_view.sieves.none import NoSieve
from msga_ros.two_view.stages import NormalisedMatches

SEEDS = (1, 2, 3, 5)
EVERY_MATCH = FrontendConfig(ratio=1.0, mutual=False)
CONFIG = PipelineConfig(EVERY_MATCH)


def error_deg(estimate: Estimate, pair: Pair) -> float:
    return max(
        pose_error_deg(estimate.rotation, estimate.translation, pair.rotation, pair.translation)
    )


@pytest.fixture(scope="module")
def sieve(tmp_path_factory: pytest.TempPathFactory) -> MSGASieve:
    path = random_network(tmp_path_factory.mktemp("weights") / "random.safetensors")
    return MSGASieve(MSGANet.load(path), NetworkConfig(device="cpu"))


@pytest.mark.parametrize("name", [name for name in available() if not sieve_of(name)])
@pytest.mark.parametrize("seed", SEEDS)
def test_classical_estimators_find_the_motion_and_its_inliers(name: str, seed: int) -> None:
    pair = synthetic_pair(seed)
    estimate = create(name, CONFIG)(pair)
    assert estimate.success
    assert error_deg(estimate, pair) < 1.0
    assert np.linalg.norm(estimate.translation) == pytest.approx(1.0)
    precision, recall, _ = precision_recall_f(estimate.inlier, pair.residual < 1e-4)
    assert precision > 0.9
    assert recall > 0.97  # of all true matches, also of those that the ratio test had removed
    assert estimate.milliseconds > 0


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("ratio", [True, True, False, False, False, False, False]),
        ("mutual+ratio", [True, False, True, True, False, False, False]),
        ("oracle", [True, True, False, True, True, False, True]),
        ("oracle-tight", [True, False, False, True, False, False, True]),
        ("oracle-prefiltered", [True, False, False, True, True, False, False]),
    ],
)
def test_a_pruner_keeps_what_its_name_says(
    name: str, kept: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published baselines: ratio test 0.8; mutual check and ratio test 0.9."""
    pair = synthetic_pair(1, matches=7)
    pair = replace(
        pair,
        ratios=np.array([0.79, 0.79, 0.81, 0.89, 0.91, 0.94, 0.96], np.float32),
        mutuals=np.array([True, False, True, True, True, True, True]),
        residual=np.array([9e-6, 9e-5, 2e-4, 9e-6, 9e-5, 2e-4, 9e-6], np.float32),
        focal0=np.array([400.0, 600.0]),
        focal1=np.array([1400.0, 1600.0]),
    )
    seen = []

    def recording(method: str, rows: np.ndarray, threshold: float, *rest: object) -> RobustEstimate:
        seen.append((method, rows, threshold))
        return failure(len(rows))

    monkeypatch.setattr(estimators, "solve", recording)
    frontend = replace(CONFIG.frontend, ratio=0.95, mutual=True)
    asked = replace(CONFIG, pose=replace(CONFIG.pose, threshold_px=2.0), frontend=frontend)
    assert not create(f"{name}+magsac", asked)(pair).success
    ((method, rows, threshold),) = seen
    assert method == "magsac"
    np.testing.assert_array_equal(rows, pair.correspondences[kept])
    assert threshold == pytest.approx(2.0 / 1000.0)  # the mean of all four focal lengths


@pytest.mark.parametrize("seed", SEEDS)
def test_the_oracle_finds_the_motion_among_nine_tenths_of_outliers(seed: int) -> None:
    pair = synthetic_pair(seed, outliers=0.9, matches=500)
    assert error_deg(create("oracle-tight+poselib", CONFIG)(pair), pair) < 0.5


@pytest.mark.parametrize("matches", [0, 1, 4])
@pytest.mark.parametrize("name", available())
def test_too_few_matches_are_a_failure_and_no_exception(
    name: str, matches: int, sieve: MSGASieve
) -> None:
    pair = synthetic_pair(1)
    few = replace(
        pair,
        correspondences=pair.correspondences[:matches],
        residual=pair.residual[:matches],
        ratios=pair.ratios[:matches],
        mutuals=pair.mutuals[:matches],
    )
    estimate = create(name, CONFIG, SharedSieve(sieve))(few)
    assert not estimate.success
    assert np.isnan(estimate.rotation).all()
    assert np.isnan(estimate.translation).all()
    assert estimate.inlier.shape == (matches,)
    assert not estimate.inlier.any()


def test_the_networks_own_pose_is_that_of_its_essential_matrix(sieve: MSGASieve) -> None:
    pair = synthetic_pair(2)
    everyone = np.ones(len(pair.ratios), dtype=bool)
    scores = sieve(NormalisedMatches(pair.correspondences, everyone, pair.evidence))
    estimate = create("msga-linear", CONFIG, SharedSieve(sieve))(pair)
    # Full-size verification: the matrix of the network judges every match.
    np.testing.assert_array_equal(estimate.inlier, scores.residual < 1e-4)
    np.testing.assert_allclose(estimate.rotation @ estimate.rotation.T, np.eye(3), atol=1e-9)
    assert estimate.iterations == 0


def test_the_network_sees_ratios_and_mutual_checks_of_the_dump() -> None:
    told = []

    class Listening:
        device = torch.device("cpu")
        verifies = True

        def __call__(
            self, rows: np.ndarray, valid: np.ndarray, evidence: np.ndarray
        ) -> MatchScores:
            told.append(evidence)
            return MatchScores(np.eye(3), np.zeros(len(rows)), np.zeros(len(rows)))

        def on(self, device: torch.device) -> Listening:
            return self

    pair = synthetic_pair(4, matches=50)
    assert 5 < pair.mutuals.sum() < 45
    listening = SharedSieve(MSGASieve(Listening(), NetworkConfig(device="cpu")))
    create("msga", CONFIG, listening)(pair)
    np.testing.assert_array_equal(told[0][:, :2], np.column_stack([pair.ratios, pair.mutuals]))


def test_the_prefilter_hides_matches_from_the_network_but_not_from_verification(
    sieve: MSGASieve,
) -> None:
    pair = synthetic_pair(3)
    filtered = PipelineConfig(FrontendConfig(ratio=0.8, mutual=False))
    passed = pair.ratios < 0.8
    estimate = create("msga-linear", filtered, SharedSieve(sieve))(pair)
    alone = create("msga-linear", CONFIG, SharedSieve(sieve))(
        replace(
            pair,
            correspondences=pair.correspondences[passed],
            residual=pair.residual[passed],
            ratios=pair.ratios[passed],
            mutuals=pair.mutuals[passed],
        )
    )
    np.testing.assert_allclose(estimate.rotation, alone.rotation)
    np.testing.assert_array_equal(estimate.inlier[passed], alone.inlier)
    assert estimate.inlier.shape == pair.ratios.shape


def test_a_solver_after_the_network_gets_its_best_scored_alone(sieve: MSGASieve) -> None:
    # With a threshold that lets everything pass, the solver sees all matches: 40 % are right.
    everything = PipelineConfig(EVERY_MATCH, NetworkConfig(score_threshold=-1e6))
    pair = synthetic_pair(5)
    estimate = create("msga+poselib", everything, SharedSieve(sieve))(pair)
    assert error_deg(estimate, pair) < 1.0
    assert estimate.iterations > 0
    # With one that lets nothing pass, there is nothing to refine and the network's own pose stands.
    nothing = PipelineConfig(EVERY_MATCH, NetworkConfig(score_threshold=1e6))
    own = create("msga-linear", nothing, SharedSieve(sieve))(pair)
    refined = create("msga+poselib", nothing, SharedSieve(sieve))(pair)
    np.testing.assert_allclose(refined.rotation, own.rotation)
    assert refined.iterations == 0


def test_estimators_that_share_a_network_run_it_once_a_pair(sieve: MSGASieve) -> None:
    calls = []

    class Counted(NoSieve):
        def __call__(self, matches: NormalisedMatches) -> MatchScores:
            calls.append(len(matches.correspondences))
            return sieve(matches)

    network = SharedSieve(Counted())
    own, refined = (create(name, CONFIG, network) for name in ("msga-linear", "msga+poselib"))
    first, second = synthetic_pair(1), synthetic_pair(2)
    alone = create("msga-linear", CONFIG, SharedSieve(sieve))
    for pair in (first, second, first):
        np.testing.assert_array_equal(own(pair).rotation, alone(pair).rotation)
        refined(pair)
    assert len(calls) == 3
    # Another filter is another question.
    create("msga", PipelineConfig(FrontendConfig(ratio=0.8, mutual=False)), network)(first)
    assert len(calls) == 4
    assert calls[3] < calls[2]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_network_and_its_scores_find_the_motion_without_a_random_sample(seed: int) -> None:
    """A network that is right nine times in ten, and whose own solution says nothing."""
    pair = synthetic_pair(seed, outliers=0.7)
    rng = np.random.default_rng(seed)

    class MostlyRight(NoSieve):
        def __call__(self, matches: NormalisedMatches) -> MatchScores:
            count = len(matches.valid)
            right = (pair.residual < 1e-4) ^ (rng.random(count) < 0.1)
            score = np.where(right, 2.0, -2.0) + 0.5 * rng.normal(size=count)
            return MatchScores(np.full((3, 3), np.nan), np.full(count, np.inf), score)

    network = SharedSieve(MostlyRight())
    estimate = create("msga", CONFIG, network)(pair)
    assert error_deg(estimate, pair) < 1.0
    assert estimate.iterations == 0
    # Another seed of the robust estimators is nothing to it.
    other = replace(CONFIG, pose=replace(CONFIG.pose, seed=7))
    np.testing.assert_array_equal(create("msga", other, network)(pair).rotation, estimate.rotation)
    assert not create("msga-linear", CONFIG, network)(pair).success


def test_the_same_seed_gives_the_same_estimate() -> None:
    pair = synthetic_pair(1, outliers=0.8)
    first, second = (create("ratio+poselib", CONFIG)(pair) for _ in range(2))
    np.testing.assert_array_equal(first.rotation, second.rotation)


@pytest.mark.parametrize(("name", "tells"), [("ratio+poselib", True), ("ratio+magsac", False)])
def test_confidence_and_iterations_bound_the_sampling(name: str, tells: bool) -> None:
    """Among 75 % outliers: few samples find nothing right, little confidence takes fewer."""
    pair = replace(synthetic_pair(4, outliers=0.75, matches=400), ratios=np.zeros(400, np.float32))

    def estimate(**entries: float) -> Estimate:
        return create(name, replace(CONFIG, pose=replace(CONFIG.pose, **entries)))(pair)

    assert error_deg(estimate(), pair) < 1.0
    hasty = estimate(max_iterations=3)
    assert not hasty.success or error_deg(hasty, pair) > 2.0
    if tells:
        assert hasty.iterations <= 3
        assert estimate(confidence=0.5).iterations < estimate().iterations


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(EstimatorError, match=r"'magic'.*ratio\+poselib"):
        create("magic", CONFIG)
    with pytest.raises(EstimatorError, match="needs its sieve"):
        create("msga", CONFIG)
    unknown = replace(synthetic_pair(1), focal0=np.full(2, np.nan))
    with pytest.raises(EstimatorError, match="focal"):
        create("ratio+poselib", CONFIG)(unknown)


def test_the_default_estimators_exist() -> None:
    assert set(DEFAULT_ESTIMATORS) <= set(available())


def test_the_classical_baseline_on_real_pairs() -> None:
    # On all of them PoseLib after the ratio test has 92 % below 5 degrees.
    path: Path = shared_path("data/val.h5")
    estimator = create("ratio+poselib", CONFIG)
    with DumpFile(path) as dump:
        pairs = [dump[index] for index in range(0, len(dump), 42)]
    good = [error_deg(estimator(pair), pair) < 5.0 for pair in pairs]
    assert np.mean(good) >= 0.7


def test_without_verification_the_network_answers_for_what_it_kept() -> None:
    torch.manual_seed(0)
    config = MSGANetConfig(channels=16, residual_blocks=1, grid=4, msformer_layers=1)
    net = MSGANet(config)
    blind = MSGANet(replace(config, verification=False))
    blind.load_state_dict(net.state_dict())
    pair = synthetic_pair(1)
    sieves = [MSGASieve(one.eval().fold(), NetworkConfig(device="cpu")) for one in (net, blind)]
    both = [create("msga-linear", CONFIG, SharedSieve(one))(pair) for one in sieves]
    assert np.array_equal(both[0].rotation, both[1].rotation)
    assert 0 < both[1].inlier.sum() < both[0].inlier.sum()
    assert both[1].inlier.sum() <= len(pair.residual) // 4
    assert not (both[1].inlier & ~both[0].inlier).any()
