"""The pipeline with the weights in the package, on real photographs of places it never saw."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scene_pairs import PAIRS, PosedPair, load_pair
from scipy.spatial.transform import Rotation

from msga_ros.geometry.camera import Camera
from msga_ros.geometry.epipolar import symmetric_epipolar_distance_squared
from msga_ros.geometry.pose import (
    essential_matrix,
    invert_pose,
    pose_error_deg,
    rotation_angle_deg,
)
from msga_ros.two_view.pipeline import Status, TwoViewPipeline, TwoViewResult

KEYPOINTS = 1000


def pipeline(**entries: object) -> TwoViewPipeline:
    return TwoViewPipeline.from_config(
        **{"frontend.max_keypoints": KEYPOINTS, "network.device": "cpu", **entries}
    )


def run(pipe: TwoViewPipeline, pair: PosedPair) -> TwoViewResult:
    return pipe(pair.image0, pair.image1, pair.camera0, pair.camera1)


def errors_deg(result: TwoViewResult, pair: PosedPair) -> tuple[float, float]:
    """Of rotation and of the direction of translation, whose sign counts; 180 without a pose."""
    if result.status is not Status.OK:
        return 180.0, 180.0
    return pose_error_deg(
        result.rotation, result.translation, pair.rotation, pair.translation, signed=True
    )


@pytest.fixture(scope="module")
def pairs() -> list[PosedPair]:
    return [load_pair(*names) for names in PAIRS]


@pytest.fixture(scope="module")
def results(pairs: list[PosedPair]) -> dict[str, list[TwoViewResult]]:
    """Of every pair, by way of refinement; the features are the same for all."""
    pipes = {refine: pipeline(**{"pose.refine": refine}) for refine in ("poselib", "magsac")}
    found: dict[str, list[TwoViewResult]] = {refine: [] for refine in pipes}
    for pair in pairs:
        extract = pipes["poselib"].extract
        features = extract(pair.image0), extract(pair.image1)
        for refine, pipe in pipes.items():
            found[refine].append(pipe.relate(*features, pair.camera0, pair.camera1))
    return found


def share_within(limit_deg: float, found: list[TwoViewResult], pairs: list[PosedPair]) -> float:
    worst = [max(errors_deg(result, pair)) for result, pair in zip(found, pairs, strict=True)]
    return float(np.mean(np.array(worst) < limit_deg))


@pytest.mark.parametrize("refine", ["poselib", "magsac"])
def test_refined_pose_is_right_on_most_pairs(
    results: dict[str, list[TwoViewResult]], pairs: list[PosedPair], refine: str
) -> None:
    assert share_within(5.0, results[refine], pairs) >= 0.75
    assert share_within(2.0, results[refine], pairs) >= 0.5


def test_inliers_are_true_matches(
    results: dict[str, list[TwoViewResult]], pairs: list[PosedPair]
) -> None:
    """Against the true motion: nearly all that are kept are right, and most right ones are kept."""
    precision, recall, before = [], [], []
    for result, pair in zip(results["poselib"], pairs, strict=True):
        rows = np.hstack(
            (
                pair.camera0.normalize(result.keypoints0),
                pair.camera1.normalize(result.keypoints1),
            )
        )
        true = essential_matrix(pair.rotation, pair.translation)
        distance = symmetric_epipolar_distance_squared(
            torch.from_numpy(rows), torch.from_numpy(true)
        ).numpy()
        precision.append(np.mean(distance[result.inlier] < 1e-4))
        recall.append(np.mean(result.inlier[distance < 1e-5]))
        before.append(np.mean(distance < 1e-4))
    assert np.median(precision) > 0.95
    assert np.median(recall) > 0.6
    # Of the wrong matches that the front end let through, most are gone.
    assert np.median(1 - np.array(precision)) < 0.3 * np.median(1 - np.array(before))


def test_swap_of_the_views_gives_the_inverse_pose(
    results: dict[str, list[TwoViewResult]], pairs: list[PosedPair]
) -> None:
    pipe = pipeline(**{"pose.refine": "poselib"})
    chosen = [0, 3, 5, 10]
    agreeing = 0
    for index in chosen:
        there = results["poselib"][index]
        back = run(pipe, pairs[index].swapped())
        inverse, direction = invert_pose(there.rotation, there.translation)
        errors = pose_error_deg(back.rotation, back.translation, inverse, direction, signed=True)
        agreeing += max(errors) < 3.0
    assert agreeing >= 3


def test_half_turn_of_both_cameras_turns_the_pose(
    results: dict[str, list[TwoViewResult]], pairs: list[PosedPair]
) -> None:
    pipe = pipeline(**{"pose.refine": "poselib"})
    turn = np.diag([-1.0, -1.0, 1.0])
    chosen = [0, 3, 5, 10]
    agreeing = 0
    for index in chosen:
        pair, upright = pairs[index], results["poselib"][index]
        turned = pipe(
            pair.image0[::-1, ::-1],
            pair.image1[::-1, ::-1],
            _half_turned(pair.camera0),
            _half_turned(pair.camera1),
        )
        errors = pose_error_deg(
            turned.rotation,
            turned.translation,
            turn @ upright.rotation @ turn,
            turn @ upright.translation,
            signed=True,
        )
        agreeing += max(errors) < 3.0
    assert agreeing >= 3


@pytest.mark.parametrize(
    "entries",
    [{"frontend.name": "orb"}, {"frontend.name": "akaze"}, {"frontend.max_image_size": 640}],
    ids=["orb", "akaze", "downscaled"],
)
def test_other_front_ends_work_too(pairs: list[PosedPair], entries: dict[str, object]) -> None:
    pipe = pipeline(**{"pose.refine": "poselib", **entries})
    chosen = [pairs[index] for index in (0, 3, 5, 10)]
    found = [run(pipe, pair) for pair in chosen]
    assert share_within(5.0, found, chosen) >= 0.75


def test_images_of_different_places_have_no_motion(pairs: list[PosedPair]) -> None:
    pipe = pipeline(**{"pose.refine": "poselib"})
    for first, second in ((0, 5), (5, 9), (10, 3)):
        left, right = pairs[first], pairs[second]
        result = pipe(left.image0, right.image1, left.camera0, right.camera1)
        assert result.counts.matched > 50
        assert result.status is Status.TOO_FEW_MATCHES


def test_a_camera_that_stands_still_is_degenerate(pairs: list[PosedPair]) -> None:
    """The same view twice, each time with other noise of the sensor."""
    pair = pairs[0]
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(pair.image0 + rng.normal(scale=3.0, size=pair.image0.shape), 0, 255).astype(
            np.uint8
        )
        for _ in range(2)
    ]
    result = pipeline(**{"pose.refine": "poselib"})(*noisy, pair.camera0, pair.camera0)
    assert result.status is Status.DEGENERATE
    assert rotation_angle_deg(result.rotation) < 0.2


def test_a_direction_that_the_matches_leave_open_is_not_called_ok() -> None:
    """ORB's coarse keypoints over 0.3 degrees of parallax: two motions often fit alike."""
    pipe = pipeline(**{"frontend.name": "orb"})
    confident, sigmas = [], []
    for frame in range(14):
        files = (f"left_{frame:06d}.jpg", f"left_{frame + 1:06d}.jpg")
        pair = load_pair("kitti_stereo_seq2", *files)
        result = run(pipe, pair)
        if result.status is Status.OK:
            confident.append(max(errors_deg(result, pair)))
        elif result.status is Status.DEGENERATE:
            sigmas.append(np.sqrt(np.linalg.eigvalsh(result.covariance[:3, :3])[-1]))
    assert len(confident) >= 5
    assert np.sum(np.array(confident) > 20.0) <= 2
    # The deviation reaches to the other motion: some degrees away at least, mostly tens.
    assert np.rad2deg(np.array(sigmas)).min(initial=90.0) > 2.0
    assert np.rad2deg(np.median(sigmas)) > 20.0


@pytest.mark.parametrize(
    ("turn", "step", "normal"),
    [
        ((0.0, 5.0, 0.0), (0.2, 0.05, 0.15), (0.48, 0.0, 0.88)),
        ((4.0, -5.0, 0.8), (-0.03, -0.02, -0.14), (0.39, 0.34, 0.86)),
        ((6.5, 0.1, 2.6), (0.03, -0.35, -0.1), (-0.11, -0.07, 0.99)),
        ((-4.2, -1.7, 4.3), (-0.05, 0.27, 0.22), (-0.12, -0.21, 0.97)),
    ],
)
def test_before_a_plane_nothing_is_called_ok_but_the_true_motion(
    turn: tuple[float, ...], step: tuple[float, ...], normal: tuple[float, ...]
) -> None:
    """A picture on a wall: two motions move it alike, and which one fits better is an accident."""
    image = load_pair("strecha_fountain_p11", "0003.jpg", "0005.jpg").image0
    image = cv2.resize(image, (640, 480), interpolation=cv2.INTER_AREA)
    camera = Camera.pinhole(500.0, 500.0, 319.5, 239.5, 640, 480)
    rotation = Rotation.from_rotvec(turn, degrees=True).as_matrix()
    homography = camera.k @ (rotation + np.outer(step, normal)) @ np.linalg.inv(camera.k)
    moved = cv2.warpPerspective(image, homography, (640, 480))
    result = pipeline()(image, moved, camera, camera)
    assert result.counts.geometric_inliers > 200
    errors = pose_error_deg(
        result.rotation, result.translation, rotation, np.array(step), signed=True
    )
    assert result.status is Status.DEGENERATE or max(errors) < 1.0


def _half_turned(camera: Camera) -> Camera:
    k = camera.k.copy()
    k[:2, 2] = np.array([camera.width, camera.height]) - 1 - k[:2, 2]
    return Camera(k, width=camera.width, height=camera.height)
