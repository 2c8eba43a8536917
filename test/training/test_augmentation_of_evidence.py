"""Augmentations: what keypoints say of a match stays true to the images."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from true_samples import drawing, true_samples, turn

from msga_ros.network.evidence import EVIDENCE
from msga_ros.training.augmentation import Samples, augmented, mirror, swap_views, turn_cameras

ROTATION, LOG_SCALE = EVIDENCE.index("rotation"), EVIDENCE.index("log_scale")
_SHORT = 1e-5  # of a segment whose ends are two keypoints: the first order is all that is left


def segments(samples: Samples, seed: int) -> tuple[Samples, Samples]:
    """`samples` and the far ends of short segments at their points in any direction, as matches;
    the evidence of the first is how the segments differ between the images."""
    generator = np.random.default_rng(seed)
    angle = generator.uniform(-np.pi, np.pi, (2, *samples.correspondences.shape[:2]))
    length = _SHORT * generator.uniform(0.5, 2, angle.shape)
    steps = np.stack((length * np.cos(angle), length * np.sin(angle)), -1)
    ends = samples.correspondences + torch.from_numpy(np.concatenate(tuple(steps), -1))
    far = dataclasses.replace(samples, correspondences=ends)
    evidence = samples.evidence.clone()
    evidence[..., ROTATION], evidence[..., LOG_SCALE] = differences(samples, far)
    return dataclasses.replace(samples, evidence=evidence), far


def differences(near: Samples, far: Samples) -> tuple[Tensor, Tensor]:
    """By how much the second image's segments are rotated (radians) and longer (base-2 logarithm),
    `(B, N)` each."""
    step = far.correspondences - near.correspondences
    first, second = step[..., :2], step[..., 2:]
    rotation = torch.atan2(second[..., 1], second[..., 0]) - torch.atan2(
        first[..., 1], first[..., 0]
    )
    return rotation, (second.norm(dim=-1) / first.norm(dim=-1)).log2()


def apart(one: Tensor, other: Tensor) -> Tensor:
    """Of angles, in any turn."""
    return torch.atan2((one - other).sin(), (one - other).cos()).abs()


def assert_evidence_is(samples: Samples, far: Samples, angle: float, scale: float) -> None:
    """What is said of the segments is what they show, to `angle` radians and `scale` octaves."""
    rotation, log_scale = differences(samples, far)
    assert float(apart(samples.evidence[..., ROTATION], rotation).max()) < angle
    assert float((samples.evidence[..., LOG_SCALE] - log_scale).abs().max()) < scale


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_rotation_and_scale_follow_a_swap_a_mirror_and_a_roll_exactly(seed: int) -> None:
    near, far = segments(true_samples(seed), seed)
    rolls = np.zeros((2, 3, 3))
    rolls[..., 2] = np.random.default_rng(seed).uniform(-3, 3, (2, 3))
    rolls = turn(rolls)
    for change in (
        swap_views,
        mirror,
        lambda samples: turn_cameras(samples, rolls[0], rolls[1]),
        lambda samples: mirror(swap_views(turn_cameras(samples, rolls[0], rolls[1]))),
    ):
        assert_evidence_is(change(near), change(far), 1e-9 / _SHORT, 1e-9 / _SHORT)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_a_tilt_turns_and_scales_keypoints_as_the_images_around_them(seed: int) -> None:
    """A tilt also shears, which a keypoint's angle and size follow no more than on average: the
    mean over the directions of a segment is what the evidence gives."""
    samples = true_samples(seed)
    turns = turn(np.random.default_rng(seed).normal(0, 0.15, (2, 3, 3)))
    turned = turn_cameras(samples, turns[0], turns[1])
    rotation = turned.evidence[..., ROTATION] - samples.evidence[..., ROTATION]
    log_scale = turned.evidence[..., LOG_SCALE] - samples.evidence[..., LOG_SCALE]
    expected = []
    for view in (0, 1):  # central differences of the warp of each image
        columns = []
        for axis in (0, 1):
            step = torch.zeros(4, dtype=torch.float64)
            step[2 * view + axis] = _SHORT
            ends = [
                turn_cameras(
                    dataclasses.replace(
                        samples, correspondences=samples.correspondences + s * step
                    ),
                    turns[0],
                    turns[1],
                ).correspondences
                for s in (1, -1)
            ]
            columns.append((ends[0] - ends[1])[..., 2 * view : 2 * view + 2] / (2 * _SHORT))
        jacobian = torch.stack(columns, -1)
        # The rotation nearest to the Jacobian, and the square root of how areas grow.
        left, _, right = torch.linalg.svd(jacobian)
        nearest = left @ right
        angle = torch.atan2(nearest[..., 1, 0], nearest[..., 0, 0])
        expected.append((angle, torch.linalg.det(jacobian).abs().log2() / 2))
    assert float(apart(rotation, expected[1][0] - expected[0][0]).max()) < 1e-7
    assert float((log_scale - (expected[1][1] - expected[0][1])).abs().max()) < 1e-7


def test_small_segments_are_followed_through_a_whole_augmentation() -> None:
    """The small tilts of `augmented` shear little: some hundredths of a radian and an octave."""
    for seed in range(20):
        near, far = segments(true_samples(seed), seed)
        new_near, new_far = augmented(near, drawing(seed)), augmented(far, drawing(seed))
        rotation, log_scale = differences(new_near, new_far)
        angles = apart(new_near.evidence[..., ROTATION], rotation)
        scales = (new_near.evidence[..., LOG_SCALE] - log_scale).abs()
        assert float(angles.median()) < 0.05 and float(angles.max()) < 0.3
        assert float(scales.median()) < 0.05 and float(scales.max()) < 0.4
        moved = apart(new_near.evidence[..., ROTATION], near.evidence[..., ROTATION])
        assert float(moved.max()) > 0.05


def test_ratio_mutual_and_distance_stay_and_the_unknown_stays_unknown() -> None:
    samples = true_samples(4)
    samples.evidence[:, ::3, ROTATION] = torch.nan
    samples.evidence[:, ::4, LOG_SCALE] = torch.nan
    changed = augmented(samples, drawing(1)).evidence
    for column, name in enumerate(EVIDENCE):
        if name in ("rotation", "log_scale"):
            assert torch.equal(changed[..., column].isnan(), samples.evidence[..., column].isnan())
        else:
            assert torch.equal(changed[..., column], samples.evidence[..., column])
