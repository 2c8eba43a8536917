"""The pipeline around the network: what each stage hands on, and what happens to bad input.

The network is replaced by one that knows the true essential matrix, or has random weights, so that
nothing here depends on training; `test_pipeline_accuracy.py` has the trained one.
"""

from __future__ import annotations

import itertools
import logging
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scene_pairs import PosedPair, load_pair
from torch import Tensor

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.evaluation.odometry.estimators import PutativeMatcher
from msga_ros.frontend import FrontendError
from msga_ros.geometry.camera import Camera, CameraError
from msga_ros.geometry.epipolar import symmetric_epipolar_distance_squared
from msga_ros.geometry.pose import essential_matrix, pose_error_deg, rotation_angle_deg
from msga_ros.geometry.robust import SOLVERS
from msga_ros.geometry.robust.base import uses_scores
from msga_ros.geometry.robust.selection import at_most_likely
from msga_ros.network import CheckpointError, MSGANet, MSGANetResult, save_checkpoint
from msga_ros.network import inlier_probability as probability_of
from msga_ros.network.match_scores import MatchScores
from msga_ros.two_view.chosen_stages import create_frontend
from msga_ros.two_view.config import PipelineConfig, refinements
from msga_ros.two_view.pipeline import Status, TwoViewPipeline, TwoViewResult
from msga_ros.two_view.sieves.none import NoSieve
from msga_ros.two_view.stages import NormalisedMatches

FOUNTAIN = ("strecha_fountain_p11", "0003.jpg", "0005.jpg")
SMALL = Camera.pinhole(300.0, 300.0, 160.0, 120.0)


class KnownEssential(MSGANet):
    """In place of the network: the true essential matrix, every distance to it, and as scores
    which matches are close to it."""

    def __init__(self, rotation: np.ndarray, translation: np.ndarray) -> None:
        torch.nn.Module.__init__(self)  # without the layers, which take time to make
        self._folded = True
        self.essential = torch.from_numpy(essential_matrix(rotation, translation)).float()
        self.calls = 0

    def forward(
        self,
        correspondences: Tensor,
        valid: Tensor | None = None,
        evidence: Tensor | None = None,
    ) -> MSGANetResult:
        self.calls += 1
        assert valid is not None
        rows = torch.where(valid[..., None], correspondences, 0.0)
        residual = symmetric_epipolar_distance_squared(rows, self.essential)
        residual = residual.masked_fill(~valid, torch.inf)
        nothing = residual[:, :0]
        logits = torch.where(residual < 1e-4, 3.0, -3.0).masked_fill(~valid, -torch.inf)
        return MSGANetResult(
            logits=(logits,) * 5,
            kept=(nothing.long(), nothing.long()),
            essential=self.essential[None],
            residual=residual,
            inlier_probability=probability_of(residual),
            sufficient=torch.tensor([True]),
            weights=nothing,
        )


@pytest.fixture(scope="module")
def fountain() -> PosedPair:
    return load_pair(*FOUNTAIN)


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    net = MSGANet()
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_checkpoint(path, net.config, net.state_dict())
    return path


def knowing(pair: PosedPair, **entries: object) -> TwoViewPipeline:
    config = PipelineConfig.load(
        **{"frontend.max_keypoints": 1000, "network.device": "cpu", **entries}
    )
    return TwoViewPipeline(config, KnownEssential(pair.rotation, pair.translation).eval())


def run(pipe: TwoViewPipeline, pair: PosedPair) -> TwoViewResult:
    return pipe(pair.image0, pair.image1, pair.camera0, pair.camera1)


def noise_image(seed: int = 0, height: int = 240, width: int = 320) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def test_a_sieve_gets_sizes_in_focal_lengths(fountain: PosedPair) -> None:
    """So that focal lengths do not matter; the pruning of odometry does the same."""
    entries = {"frontend.ratio": 1.0, "frontend.mutual": False, "sieve.name": "none"}
    config, seen = PipelineConfig.load(**entries), []

    class Watched(NoSieve):
        def __call__(self, matches: NormalisedMatches) -> MatchScores:
            seen.append(matches.evidence)
            return super().__call__(matches)

    pipe = TwoViewPipeline(config, Watched())
    features0, features1 = pipe.extract(fountain.image0), pipe.extract(fountain.image1)
    camera0, k = fountain.camera0, fountain.camera0.k
    longer = Camera.pinhole(4 * k[0, 0], 4 * k[1, 1], k[0, 2], k[1, 2])
    for camera1 in (camera0, longer):
        pipe.relate(features0, features1, camera0, camera1)
    plain, other = seen
    front_end = create_frontend(pipe.config.frontend)
    expected = front_end.match(features0, features1).evidence
    np.testing.assert_array_equal(plain, expected)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(other[:, 3], expected[:, 3] - 2.0, atol=1e-6)
    putative = PutativeMatcher(front_end)(features0, features1, camera0, longer)
    np.testing.assert_array_equal(putative.normalised.evidence, other)


@pytest.mark.parametrize("frontend", ["sift", "fast_sift", "orb", "akaze"])
@pytest.mark.parametrize("refine", ["none", "graduated", "poselib", "magsac"])
def test_right_matches_give_the_right_pose(fountain: PosedPair, frontend: str, refine: str) -> None:
    result = run(knowing(fountain, **{"frontend.name": frontend, "pose.refine": refine}), fountain)
    assert result.status is Status.OK
    errors = pose_error_deg(
        result.rotation, result.translation, fountain.rotation, fountain.translation, signed=True
    )
    assert max(errors) < (0.01 if refine == "none" else 3.0)
    assert np.rad2deg(result.median_parallax) == pytest.approx(23, abs=4)
    np.testing.assert_allclose(np.linalg.norm(result.translation), 1.0)
    np.testing.assert_allclose(np.linalg.norm(result.essential), 1.0)


def test_each_refinement_is_its_own(fountain: PosedPair) -> None:
    """`pose.refine` names what computes the motion: from the matches with a good score alone."""
    features = [knowing(fountain).extract(one) for one in (fountain.image0, fountain.image1)]
    cameras = (fountain.camera0, fountain.camera1)
    found = {}
    for refine in refinements():
        result = knowing(fountain, **{"pose.refine": refine}).relate(*features, *cameras)
        found[refine] = result.rotation
        if refine == "none":
            continue
        rows = np.hstack([one.normalize(points) for one, points in zip(
            cameras, (result.keypoints0, result.keypoints1), strict=True
        )])  # fmt: skip
        truth = torch.from_numpy(essential_matrix(fountain.rotation, fountain.translation))
        good = symmetric_epipolar_distance_squared(torch.from_numpy(rows), truth).numpy() < 1e-4
        threshold = 1.0 / np.mean([one.mean_focal for one in cameras])
        reach = 1.0 if uses_scores(SOLVERS.load(refine)) else 1.5  # sampling looks further
        direct = SOLVERS.load(refine)(
            rows[good, :2], rows[good, 2:], reach * threshold, score=np.full(good.sum(), 3.0),
            essential=truth.numpy(),
        )  # fmt: skip
        if reach > 1.0:
            direct = at_most_likely(direct, rows[good, :2], rows[good, 2:], threshold)
        assert rotation_angle_deg(direct.rotation.T @ result.rotation) < 1e-6
    angles = [rotation_angle_deg(a.T @ b) for a, b in itertools.combinations(found.values(), 2)]
    assert len(found) >= 4 and min(angles) > 1e-4


@pytest.mark.parametrize("refine", ["none", "poselib"])
def test_result_is_consistent(fountain: PosedPair, refine: str) -> None:
    pipe = knowing(fountain, **{"pose.refine": refine})
    features0, features1 = pipe.extract(fountain.image0), pipe.extract(fountain.image1)
    result = pipe.relate(features0, features1, fountain.camera0, fountain.camera1)
    count = len(result.keypoints0)
    assert result.keypoints0.shape == result.keypoints1.shape == (count, 2)
    np.testing.assert_array_equal(result.keypoints0, features0.keypoints[result.indices0])
    np.testing.assert_array_equal(result.keypoints1, features1.keypoints[result.indices1])
    assert result.inlier.shape == (count,) and result.inlier.dtype == np.bool_
    assert result.inlier_probability.dtype == np.float32
    counts = result.counts
    assert (counts.detected0, counts.detected1) == (len(features0), len(features1))
    assert counts.matched == count
    if refine == "none":
        assert counts.network_inliers == np.count_nonzero(result.inlier_probability > 0.5)
    assert counts.geometric_inliers == np.count_nonzero(result.inlier)
    assert counts.geometric_inliers <= counts.network_inliers
    assert np.all(result.inlier_probability[result.inlier] > 0.5)
    rows = np.hstack(
        (
            fountain.camera0.normalize(result.keypoints0),
            fountain.camera1.normalize(result.keypoints1),
        )
    )
    distance = symmetric_epipolar_distance_squared(
        torch.from_numpy(rows), torch.from_numpy(result.essential)
    )
    assert distance[torch.from_numpy(result.inlier)].max() < 1.1e-4
    assert np.all(np.isfinite(result.covariance))
    np.testing.assert_allclose(result.covariance, result.covariance.T)
    assert np.linalg.eigvalsh(result.covariance).min() > -1e-9
    assert set(result.timings) == {"match", "network", "pose"}
    whole = run(pipe, fountain)
    assert set(whole.timings) == {"extract", "match", "network", "pose"}
    assert all(value >= 0 for value in whole.timings.values())


def test_probability_is_a_half_at_the_configured_threshold(fountain: PosedPair) -> None:
    own = {"pose.refine": "none"}
    strict = run(knowing(fountain, **own, **{"network.inlier_threshold": 1e-6}), fountain)
    loose = run(knowing(fountain, **own, **{"network.inlier_threshold": 1e-4}), fountain)
    assert strict.counts.network_inliers == np.count_nonzero(strict.inlier_probability > 0.5)
    assert strict.counts.network_inliers < loose.counts.network_inliers


def test_swap_of_the_views_gives_the_inverse_pose(fountain: PosedPair) -> None:
    for refine, tolerance in (("none", 1e-5), ("poselib", 5e-3)):
        there = run(knowing(fountain, **{"pose.refine": refine}), fountain)
        back = run(knowing(fountain.swapped(), **{"pose.refine": refine}), fountain.swapped())
        np.testing.assert_allclose(back.rotation, there.rotation.T, atol=tolerance)
        moved = -there.rotation.T @ there.translation
        np.testing.assert_allclose(back.translation, moved, atol=tolerance)


def test_frontend_filters_apply_before_the_network(fountain: PosedPair) -> None:
    every = run(knowing(fountain, **{"frontend.ratio": 1.0, "frontend.mutual": False}), fountain)
    some = run(knowing(fountain, **{"frontend.ratio": 0.8, "frontend.mutual": True}), fountain)
    assert some.counts.matched < 0.7 * every.counts.matched
    assert some.inlier.mean() > 1.3 * every.inlier.mean()
    assert set(some.indices0) <= set(every.indices0)


def test_points_that_the_camera_cannot_explain_are_masked(fountain: PosedPair) -> None:
    """A distortion that folds over at the border leaves no normalised point there."""
    k = fountain.camera0.k
    folding = Camera(k, "plumb_bob", np.array([-3.0, 0.0, 0.0, 0.0, 0.0]))
    pipe = knowing(fountain)
    result = pipe(fountain.image0, fountain.image1, folding, folding)
    lost = ~np.isfinite(folding.normalize(result.keypoints0)).all(axis=1)
    assert 0.05 < lost.mean() < 1.0
    assert np.all(result.inlier_probability[lost] == 0)
    assert not result.inlier[lost].any()


def test_black_white_and_noise_are_a_status(random_weights: Path) -> None:
    pipe = TwoViewPipeline.from_config(**{"network.weights": str(random_weights)})
    black, white = np.zeros((240, 320), np.uint8), np.full((240, 320), 255, np.uint8)
    for images in [(black, black), (white, white), (black, noise_image()), (noise_image(), black)]:
        result = pipe(*images, SMALL, SMALL)
        assert result.status is Status.TOO_FEW_MATCHES
        assert result.counts.matched == len(result.inlier) == 0
        for array in (result.rotation, result.translation, result.essential, result.covariance):
            assert np.isnan(array).all()
    result = pipe(noise_image(1), noise_image(2), SMALL, SMALL)
    assert len(result.inlier) == result.counts.matched > 100


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (16, 16), (40, 24)])
def test_tiny_images_do_not_raise(random_weights: Path, shape: tuple[int, int]) -> None:
    pipe = TwoViewPipeline.from_config(**{"network.weights": str(random_weights)})
    image = noise_image(0, 64, 64)[: shape[0], : shape[1]]
    assert pipe(image, image, SMALL, SMALL).status in (Status.TOO_FEW_MATCHES, Status.DEGENERATE)


@pytest.mark.parametrize("refine", ["none", "graduated", "poselib", "magsac"])
def test_identical_images_are_degenerate(random_weights: Path, refine: str) -> None:
    pipe = TwoViewPipeline.from_config(
        **{"network.weights": str(random_weights), "pose.refine": refine}
    )
    result = pipe(noise_image(), noise_image(), SMALL, SMALL)
    assert result.status is Status.DEGENERATE
    assert result.median_parallax < 1e-3
    assert rotation_angle_deg(result.rotation) < 0.1


@pytest.mark.parametrize("refine", ["none", "graduated", "poselib", "magsac"])
def test_pure_rotation_is_degenerate_but_its_rotation_holds(refine: str) -> None:
    """The essential matrix that the network is given is true to the rotation alone."""
    angle = np.deg2rad(4.0)
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
    homography = SMALL.k @ rotation @ np.linalg.inv(SMALL.k)
    image = noise_image(3, 480, 640)
    turned = cv2.warpPerspective(image, homography, (320, 240), flags=cv2.INTER_LINEAR)
    direction = np.array([0.6, 0.0, 0.8])
    pair = PosedPair("turn", image[:240, :320], turned, SMALL, SMALL, rotation, direction)
    result = run(knowing(pair, **{"pose.refine": refine}), pair)
    assert result.counts.network_inliers > 100
    assert result.status is Status.DEGENERATE
    assert pose_error_deg(result.rotation, direction, rotation, direction)[0] < 0.5


def test_network_inliers_below_the_minimum_give_no_pose(fountain: PosedPair) -> None:
    result = run(knowing(fountain, **{"pose.min_inliers": 100_000}), fountain)
    assert result.status is Status.TOO_FEW_MATCHES
    assert np.isnan(result.rotation).all()
    assert result.counts.network_inliers > 100


def test_runs_are_repeatable(fountain: PosedPair, random_weights: Path) -> None:
    def once() -> TwoViewResult:
        pipe = TwoViewPipeline.from_config(
            **{
                "network.weights": str(random_weights),
                "frontend.max_keypoints": 500,
                "pose.refine": "poselib",
                "network.device": "cpu",
            }
        )
        return run(pipe, fountain)

    one, other = once(), once()
    for name in ("keypoints0", "keypoints1", "inlier", "essential", "rotation", "covariance"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.status is other.status


def test_camera_of_another_image_size_is_refused(fountain: PosedPair) -> None:
    half = fountain.camera1.scaled(0.5)
    with pytest.raises(CameraError, match=r"camera1 .*512x342, image1 is 1024x683"):
        knowing(fountain)(fountain.image0, fountain.image1, fountain.camera0, half)


@pytest.mark.parametrize(("off", "refused"), [(0, False), (1, False), (-1, False), (2, True)])
def test_a_binned_image_may_be_a_pixel_off_its_calibration(off: int, refused: bool) -> None:
    """Half of 641 pixels is 320 to one driver and 321 to another."""
    pipe = TwoViewPipeline.from_config(**{"sieve.name": "none"})
    camera = Camera(SMALL.k, width=320 + off, height=240)
    images = noise_image(1), noise_image(2)
    if not refused:
        assert pipe(*images, camera, camera).counts.matched > 0
        return
    with pytest.raises(CameraError, match="camera0 is calibrated for images of 322x240"):
        pipe(*images, camera, camera)


def test_features_of_two_front_ends_are_refused(fountain: PosedPair) -> None:
    sift, orb = knowing(fountain), knowing(fountain, **{"frontend.name": "orb"})
    with pytest.raises(FrontendError, match="different kinds"):
        sift.relate(
            sift.extract(fountain.image0),
            orb.extract(fountain.image1),
            fountain.camera0,
            fountain.camera1,
        )


def test_unknown_front_end_and_device_are_errors(random_weights: Path) -> None:
    weights = {"network.weights": str(random_weights)}
    with pytest.raises(FrontendError, match="surf"):
        TwoViewPipeline.from_config(**weights, **{"frontend.name": "surf"})
    for device in ("gpu", "cuda:x", "mps", ""):
        with pytest.raises(ConfigError, match=r"network\.device"):
            TwoViewPipeline.from_config(**weights, **{"network.device": device})


def test_missing_and_corrupt_checkpoints_are_errors(tmp_path: Path) -> None:
    absent = tmp_path / "absent.safetensors"
    with pytest.raises(CheckpointError, match=r"absent\.safetensors"):
        TwoViewPipeline.from_config(**{"network.weights": str(absent)})
    corrupt = tmp_path / "corrupt.safetensors"
    corrupt.write_bytes(b"\x00" * 100)
    with pytest.raises(CheckpointError, match=r"corrupt\.safetensors"):
        TwoViewPipeline.from_config(**{"network.weights": str(corrupt)})


def test_reconfigure_takes_effect_and_refuses_what_it_cannot_change(fountain: PosedPair) -> None:
    pipe = knowing(fountain, **{"pose.refine": "none"})
    before = run(pipe, fountain)
    changed = PipelineConfig.load(
        **{
            "network.device": "cpu",
            "pose.refine": "none",
            "network.inlier_threshold": 1e-6,
            "frontend.max_keypoints": 300,
        }
    )
    pipe.reconfigure(changed)
    after = run(pipe, fountain)
    assert pipe.config == changed
    assert after.counts.detected0 == 300 < before.counts.detected0
    assert after.counts.network_inliers < before.counts.network_inliers
    for entry, value in (
        ("frontend.name", "orb"),
        ("network.weights", "other.safetensors"),
        ("network.device", "auto"),
    ):
        with pytest.raises(ConfigError, match=entry):
            pipe.reconfigure(PipelineConfig.load(**{"network.device": "cpu", entry: value}))
    assert pipe.config == changed


def test_a_call_never_sees_half_of_a_reconfiguration(fountain: PosedPair) -> None:
    """Either all matches and no pose, or filtered matches and a pose; never one of each."""
    loose = PipelineConfig.load(
        **{
            "network.device": "cpu",
            "frontend.ratio": 1.0,
            "frontend.mutual": False,
            "pose.min_inliers": 100_000,
        }
    )
    strict = PipelineConfig.load(
        **{"network.device": "cpu", "frontend.ratio": 0.7, "pose.min_inliers": 12}
    )
    pipe = knowing(fountain)
    features0, features1 = pipe.extract(fountain.image0), pipe.extract(fountain.image1)
    stop = threading.Event()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def change() -> None:
        while not stop.is_set():
            pipe.reconfigure(loose)
            pipe.reconfigure(strict)

    thread = threading.Thread(target=change)
    pipe.reconfigure(loose)
    thread.start()
    try:
        for _ in range(40):
            result = pipe.relate(features0, features1, fountain.camera0, fountain.camera1)
            filtered = result.counts.matched < len(features0)
            assert (result.status is Status.OK) == filtered
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_warm_up_runs_the_network_once(fountain: PosedPair) -> None:
    net = KnownEssential(fountain.rotation, fountain.translation).eval()
    TwoViewPipeline(PipelineConfig.load(**{"network.device": "cpu"}), net).warm_up((160, 120))
    assert net.calls == 1


@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_absent_cuda_is_one_warning_and_the_cpu(
    fountain: PosedPair,
    device: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with caplog.at_level(logging.WARNING):
        pipe = knowing(fountain, **{"network.device": device})
        for _ in range(2):
            assert run(pipe, fountain).status is Status.OK
    assert pipe.device == torch.device("cpu")
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert device in warnings[0] and "CPU" in warnings[0]
    assert pipe.device_problem == warnings[0]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), "memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), "cuda failed (CUDA error"),
    ],
)
def test_cuda_that_fails_goes_on_with_the_cpu(
    fountain: PosedPair,
    caplog: pytest.LogCaptureFixture,
    error: RuntimeError,
    reason: str,
) -> None:
    """Whatever is sent to the pretended device finds no memory there, or no device."""

    class Failing:
        device = torch.device("cuda")
        verifies = True

        def __call__(self, *matches: np.ndarray) -> MatchScores:
            raise error

        def on(self, device: torch.device) -> Failing:
            return self

    pipe = knowing(fountain)
    fallback = pipe.sieve._inference._network
    fallback._active, fallback._device = Failing(), torch.device("cuda")
    with caplog.at_level(logging.WARNING):
        first, second = run(pipe, fountain), run(pipe, fountain)
    assert first.status is second.status is Status.OK
    assert pipe.device == torch.device("cpu")
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert reason in warnings[0] and "CPU" in warnings[0]
    assert pipe.device_problem == warnings[0]
