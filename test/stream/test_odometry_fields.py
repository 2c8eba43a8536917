"""What the messages say of a motion over time: directions, metres, covariance, what is unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from node.stereo_drive import STEP_NS, StereoDrive

from msga_ros.geometry.rotations import rotation_matrix, rotation_vector
from msga_ros.odometry.poses import UncertainPose
from msga_ros.stream.message_fields import STATUS_OK, STATUS_TOO_FEW_MATCHES
from msga_ros.stream.odometry_fields import motion_fields, odometry_fields


def test_the_motion_is_the_newest_camera_in_the_keyframe_in_metres() -> None:
    drive = StereoDrive()
    odometry_result = drive.go(0, 1, 2, 3)
    fields = motion_fields(odometry_result)
    assert fields["status"] == STATUS_OK
    assert fields["translation_scale_known"] is True
    _, position = drive.scene.true_motion(0, 3)
    np.testing.assert_allclose(fields["translation"], position, atol=0.03)
    assert fields["translation"][2] > 1.0  # it drives forward, and metres are metres
    assert fields["header"].stamp.nanosec > fields["reference_header"].stamp.nanosec
    assert fields["header"].frame_id == fields["reference_header"].frame_id == "left_optical"
    covariance = fields["covariance"].reshape(6, 6)
    assert (np.linalg.eigvalsh(covariance) > 0).all()  # the length is measured, too
    assert fields["inliers"] > 50 and 0.5 < fields["inlier_ratio"] <= 1.0


def test_essential_and_parallax_belong_to_the_matches() -> None:
    drive = StereoDrive()
    odometry_result = drive.go(0, 1, 2, 3)
    fields, update = motion_fields(odometry_result), odometry_result.update
    inlier = update.inlier
    assert update.matches is not None
    rays = []
    for frame, rows in ((0, update.matches.indices0), (3, update.matches.indices1)):
        seen = drive.scene.points - drive.scene.positions[frame]
        rays.append((seen @ drive.scene.rotations[frame])[rows[inlier]])
    essential = fields["essential"].reshape(3, 3)
    assert np.linalg.norm(essential) == pytest.approx(1.0)
    directions = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in rays]
    off = np.einsum("ni,ij,nj->n", directions[1], essential, directions[0])
    assert np.abs(off).max() < 0.01
    rotation, _ = drive.scene.true_motion(0, 3)
    cosine = np.einsum("ni,ni->n", directions[0], directions[1] @ rotation.T)
    parallax = np.median(np.arccos(np.clip(cosine, -1, 1)))
    assert fields["median_parallax"] == pytest.approx(parallax, rel=0.05)


def test_parallax_of_a_camera_that_turns_as_it_drives() -> None:
    """Seen from both places in the axes of the keyframe: the turn is no parallax."""
    odometry_result = StereoDrive().go(0, 1, 2, 3)
    rng = np.random.default_rng(0)
    points = rng.uniform([-2, -1, 4], [2, 1, 9], (50, 3))  # in the current camera
    turn, position = rotation_matrix([0.2, -0.9, 0.1]), np.array([1.5, 0.2, -0.4])
    update = replace(
        odometry_result.update,
        relative=UncertainPose(turn, position, np.eye(6)),
        points=points,
        inlier=np.ones(50, dtype=bool),
    )
    from_current = points @ turn.T
    from_keyframe = from_current + position
    cosine = (from_current * from_keyframe).sum(1) / (
        np.linalg.norm(from_current, axis=1) * np.linalg.norm(from_keyframe, axis=1)
    )
    found = motion_fields(replace(odometry_result, update=update))["median_parallax"]
    assert found == pytest.approx(np.median(np.arccos(cosine)))


def test_a_lost_motion_says_nothing() -> None:
    drive = StereoDrive()
    drive.go(0, 1, 2)
    _, odometry_result = drive.follow(3, blind=True)
    assert odometry_result is not None
    fields = motion_fields(odometry_result)
    assert fields["status"] == STATUS_TOO_FEW_MATCHES
    assert fields["translation_scale_known"] is False
    assert fields["covariance"][0] == -1 and not fields["covariance"][1:].any()
    assert not fields["essential"].any() and not fields["translation"].any()
    assert (fields["inliers"], fields["inlier_ratio"], fields["median_parallax"]) == (0, 0.0, 0.0)
    # The odometry goes on all the same, and says how well.
    assert odometry_fields(odometry_result)["covariance"][0] > 0.1


def test_the_first_frame_has_no_motion() -> None:
    with pytest.raises(ValueError, match="no motion from one frame"):
        motion_fields(StereoDrive().go(0))


def test_odometry_is_the_left_camera_in_the_frame_of_the_first() -> None:
    drive = StereoDrive()
    first, last = odometry_fields(drive.go(0)), odometry_fields(drive.go(*range(1, 8)))
    assert first["position"] == (0, 0, 0) and first["orientation"] == (0, 0, 0, 1)
    np.testing.assert_allclose(last["position"], drive.scene.true_motion(0, 7)[1], atol=0.08)
    assert last["child_frame_id"] == "left_optical"
    assert last["covariance"].shape == last["twist_covariance"].shape == (36,)
    for fields in (first, last):  # filters invert them
        for name in ("covariance", "twist_covariance"):
            assert (np.linalg.eigvalsh(fields[name].reshape(6, 6)) > 0).all()
    assert np.sqrt(first["covariance"][0]) < 0.01  # the origin is there by definition
    assert first["linear"] == (0, 0, 0) and first["twist_covariance"][0] > 10**2  # who knows


def test_the_twist_is_the_velocity_along_the_cameras_own_axes() -> None:
    drive = StereoDrive()
    seconds = STEP_NS * 1e-9
    for frame in range(8):
        fields = odometry_fields(drive.go(frame))
        if not frame:
            continue
        turn, shift = drive.scene.true_motion(frame - 1, frame)
        np.testing.assert_allclose(fields["linear"], shift / seconds, atol=0.3)  # of 5 m/s
        np.testing.assert_allclose(fields["angular"], rotation_vector(turn) / seconds, atol=0.05)
    _, odometry_result = drive.follow(8, blind=True)
    assert odometry_result is not None
    guessed = odometry_fields(odometry_result)
    assert guessed["linear"] == pytest.approx(fields["linear"])  # goes on as before, but who knows
    assert guessed["twist_covariance"][0] > 20 * fields["twist_covariance"][0]
