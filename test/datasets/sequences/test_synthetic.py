"""The rendered sequence must be a true picture of its geometry, or it proves nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from msga_ros.datasets.sequences.base import LEFT, RIGHT, SequenceError
from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.pose import pose_error_deg, rotation_angle_deg
from msga_ros.simulation.renderer import Quad, render


@pytest.fixture(scope="module")
def sequence() -> SyntheticSequence:
    return SyntheticSequence()


def test_quad_is_drawn_where_projection_says() -> None:
    """A white square on a black one: its corners and depth, seen obliquely, to a fraction."""
    texture = np.zeros((400, 400, 3), np.uint8)
    texture[100:300, 100:300] = 255
    corner, right, down = np.array([[-1.0, -1.0, 4.0], [2.0, 0.0, 0.8], [0.0, 2.0, 0.3]])
    k = np.array([[300.0, 0.0, 159.5], [0.0, 310.0, 119.5], [0.0, 0.0, 1.0]])
    pose = Pose(np.eye(3), np.zeros(3))
    quad = Quad.textured(corner, right, down, texture)
    image, nearness = render([quad], k, pose, 320, 240, (90, 90, 90))

    truth = []
    for u, v in [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]:
        point = k @ (corner + u * right + v * down)
        truth.append(point[:2] / point[2])
    guess = np.array(truth, np.float32).reshape(-1, 1, 2)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-4)
    found = cv2.cornerSubPix(image[..., 0], guess.copy(), (6, 6), (-1, -1), criteria)
    assert np.abs(found - guess).max() < 0.15

    centre = corner + 0.5 * right + 0.5 * down
    x, y = np.round((k @ centre / centre[2])[:2]).astype(int)
    ray = np.linalg.inv(k) @ [x, y, 1.0]
    normal = np.cross(right, down)
    depth = (normal @ corner) / (normal @ ray)
    assert nearness[y, x] == pytest.approx(1.0 / depth, rel=1e-4)
    assert nearness[0, 0] == 0.0
    assert tuple(image[0, 0]) == (90, 90, 90)


def test_nearer_quad_hides_farther_one_and_back_is_invisible() -> None:
    k = np.array([[100.0, 0.0, 49.5], [0.0, 100.0, 49.5], [0.0, 0.0, 1.0]])
    pose = Pose(np.eye(3), np.zeros(3))
    red, blue = np.zeros((2, 32, 32, 3), np.uint8)
    red[..., 2] = 200
    blue[..., 0] = 200
    right, down = np.array([4.0, 0.0, 0.0]), np.array([0.0, 4.0, 0.0])
    near = Quad.textured(np.array([-2.0, -2.0, 2.0]), right, down, red)
    far = Quad.textured(np.array([-2.0, -2.0, 3.0]), right, down, blue)
    behind = Quad.textured(np.array([-2.0, -2.0, -2.0]), right, down, red)
    turned = Quad.textured(np.array([-2.0, 2.0, 1.0]), right, -down, red)
    for order in ([near, far], [far, near]):
        image, _ = render([*order, behind], k, pose, 100, 100, (0, 0, 0))
        assert tuple(image[50, 50]) == (0, 0, 200)
    image, _ = render([far, turned], k, pose, 100, 100, (0, 0, 0))
    assert tuple(image[50, 50]) == (200, 0, 0)


def test_views_agree_through_depth_and_truth(sequence: SyntheticSequence) -> None:
    """The right view, fetched at where the left pixels are in space, gives the left view."""
    poses = sequence.poses(20)
    left, nearness = sequence.clean_view(poses[LEFT])
    right, nearness_right = sequence.clean_view(poses[RIGHT])
    k = sequence.camera.k
    motion = poses[RIGHT].relative_to(poses[LEFT])
    ys, xs = np.mgrid[0 : left.shape[0], 0 : left.shape[1]]
    rays = np.stack([xs, ys, np.ones_like(xs)], axis=-1) @ np.linalg.inv(k).T
    moved = rays @ motion.rotation.T + motion.translation * nearness[..., None]
    pixels = moved @ k.T
    target = (pixels[..., :2] / pixels[..., 2:]).astype(np.float32)
    fetched = cv2.remap(right, target, None, cv2.INTER_LINEAR)
    found_nearness = cv2.remap(nearness_right, target, None, cv2.INTER_LINEAR)
    expected_nearness = nearness / moved[..., 2]
    seen = (nearness > 0) & (np.abs(found_nearness - expected_nearness) < 0.01 * expected_nearness)
    assert seen.mean() > 0.6
    difference = np.abs(fetched.astype(float) - left)[seen].mean()
    # A pixel beside it, in any direction, the views agree clearly less: the test can tell.
    for aside in ([1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]):
        wrong = cv2.remap(right, target + np.float32(aside), None, cv2.INTER_LINEAR)
        assert difference < 0.6 * np.abs(wrong.astype(float) - left)[seen].mean()


def _sift_matches(image0: NDArray[np.uint8], image1: NDArray[np.uint8]) -> NDArray[np.float64]:
    sift = cv2.SIFT_create(1500)
    keypoints0, descriptors0 = sift.detectAndCompute(cv2.cvtColor(image0, cv2.COLOR_BGR2GRAY), None)
    keypoints1, descriptors1 = sift.detectAndCompute(cv2.cvtColor(image1, cv2.COLOR_BGR2GRAY), None)
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(descriptors0, descriptors1, k=2)
    good = [best for best, second in pairs if best.distance < 0.75 * second.distance]
    return np.array([keypoints0[m.queryIdx].pt + keypoints1[m.trainIdx].pt for m in good])


def _epipolar_errors_px(
    matches: NDArray[np.float64], k: NDArray[np.float64], motion: Pose
) -> NDArray[np.float64]:
    """Distance of each second point to its epipolar line, pixels."""
    x, y, z = motion.translation
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    inverse = np.linalg.inv(k)
    fundamental = inverse.T @ cross @ motion.rotation @ inverse
    ones = np.ones((len(matches), 1))
    lines = np.hstack([matches[:, :2], ones]) @ fundamental.T
    errors = np.sum(lines * np.hstack([matches[:, 2:], ones]), axis=1)
    return np.abs(errors) / np.linalg.norm(lines[:, :2], axis=1)


@pytest.mark.parametrize("index", [0, 47, 101])
@pytest.mark.parametrize("pairing", ["stereo", "temporal"])
def test_sift_matches_obey_the_true_pose(
    sequence: SyntheticSequence, index: int, pairing: str
) -> None:
    frame, following = sequence[index], sequence[index + 2]
    assert frame.poses is not None
    assert following.poses is not None
    if pairing == "stereo":
        image1, pose1 = frame.images[RIGHT], frame.poses[RIGHT]
    else:
        image1, pose1 = following.images[LEFT], following.poses[LEFT]
    matches = _sift_matches(frame.images[LEFT], image1)
    motion = pose1.relative_to(frame.poses[LEFT])
    k = frame.cameras[LEFT].k
    errors = _epipolar_errors_px(matches, k, motion)
    assert len(matches) > 250
    assert np.median(errors) < 0.3
    assert (errors < 1.5).mean() > 0.9

    essential, _ = cv2.findEssentialMat(
        matches[:, :2], matches[:, 2:], k, cv2.USAC_MAGSAC, 0.999, 1.0
    )
    _, rotation, translation, _ = cv2.recoverPose(essential, matches[:, :2], matches[:, 2:], k)
    rotation_error, translation_error = pose_error_deg(
        rotation, translation[:, 0], motion.rotation, motion.translation, signed=True
    )
    assert rotation_error < 0.5
    assert translation_error < 5.0


def test_same_arguments_same_frames() -> None:
    small = SyntheticOptions(width=160, height=120, focal=120.0, frames=4)
    first, again = SyntheticSequence(small)[3], SyntheticSequence(small)[3]
    other = SyntheticSequence(SyntheticOptions(width=160, height=120, focal=120.0, seed=7))[3]
    assert first.stamp == again.stamp == pytest.approx(0.3)
    for side in (LEFT, RIGHT):
        np.testing.assert_array_equal(first.images[side], again.images[side])
        assert not np.array_equal(first.images[side], other.images[side])
    assert not np.array_equal(first.images[LEFT], first.images[RIGHT])


def test_rig_and_motion() -> None:
    sequence = SyntheticSequence(SyntheticOptions(baseline=0.3, rig_rotation_deg=(1.0, -3.0, 0.5)))
    poses = [sequence.poses(i) for i in range(len(sequence))]
    for pose in poses:
        between = pose[RIGHT].relative_to(pose[LEFT])
        assert rotation_angle_deg(between.rotation) == pytest.approx(np.sqrt(1 + 9 + 0.25))
        in_left = pose[LEFT].rotation @ (pose[RIGHT].centre - pose[LEFT].centre)
        np.testing.assert_allclose(in_left, [0.3, 0.0, 0.0], atol=1e-9)
        np.testing.assert_allclose(
            pose[LEFT].rotation @ pose[LEFT].rotation.T, np.eye(3), atol=1e-9
        )
        assert np.linalg.det(pose[LEFT].rotation) == pytest.approx(1.0)
    following = [*poses[1:], poses[0]]  # the way is closed
    steps = [b[LEFT].relative_to(a[LEFT]) for a, b in zip(poses, following, strict=True)]
    assert all(0.5 < rotation_angle_deg(step.rotation) < 5.0 for step in steps)
    assert all(0.1 < np.linalg.norm(step.translation) < 0.3 for step in steps)


def test_mono_and_bad_options() -> None:
    mono = SyntheticSequence(
        SyntheticOptions(stereo=False, frames=2, width=64, height=48, focal=50.0, noise=0.0)
    )
    frames = list(mono)
    assert [set(frame.images) for frame in frames] == [{LEFT}, {LEFT}]
    assert mono.cameras == (LEFT,)
    with pytest.raises(IndexError):
        mono[2]
    with pytest.raises(SequenceError):
        SyntheticOptions(frames=0)
    with pytest.raises(SequenceError):
        SyntheticOptions(focal=-1.0)


def test_depth_is_what_a_sensor_sees_of_the_scene() -> None:
    """Right but for noise that grows as the square, none beyond its range, at edges, in holes."""
    sequence = SyntheticSequence(SyntheticOptions(stereo=False, depth=True))
    frame = sequence[0]
    assert frame.depth is not None and frame.poses is not None
    true = 1 / np.maximum(sequence.clean_view(frame.poses[LEFT])[1], 1e-6)
    seen = np.isfinite(frame.depth)
    assert (true[seen] < 8.5).all() and frame.depth[seen].max() <= 8.0
    near = true < 7.5
    assert 0.5 < seen[near].mean() < 0.96
    for low, high in ((2.0, 4.0), (5.0, 7.0)):
        rows = seen & (true > low) & (true < high)
        error = (frame.depth - true)[rows] / true[rows] ** 2
        assert np.std(error) == pytest.approx(0.002, rel=0.2)
        assert abs(np.mean(error)) < 0.0003
    again = sequence[0].depth
    assert again is not None
    np.testing.assert_array_equal(frame.depth, again)
    other = sequence[1].depth
    assert other is not None and not np.array_equal(frame.depth, other)
