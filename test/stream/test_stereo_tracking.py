"""Stereo pairs over time: metres, sessions and never a silent jump, tracks, the rig."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from node.stereo_drive import STEP_NS, StereoDrive
from odometry.rig_scene import RIG
from scipy.spatial.transform import Rotation
from stream.fakes import raw_header

from msga_ros.geometry.camera import Camera
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.updates import OdometryStatus
from msga_ros.stream.feature_matches import NO_FIXED_KEYPOINTS
from msga_ros.stream.stream_odometry import OdometryResult


def at_origin(odometry_result: OdometryResult) -> bool:
    pose = odometry_result.update.pose
    assert pose is not None
    return bool(np.array_equal(pose.matrix, np.eye(4)) and not pose.covariance.any())


def error_m(drive: StereoDrive, odometry_result: OdometryResult, first: int, last: int) -> float:
    """How far the pose is from the truth, of a session that began with frame `first`."""
    assert odometry_result.update.pose is not None
    return float(
        np.linalg.norm(
            odometry_result.update.pose.position - drive.scene.true_motion(first, last)[1]
        )
    )


def test_a_drive_is_one_session_in_metres() -> None:
    drive = StereoDrive()
    assert at_origin(drive.go(0))
    odometry_result = drive.go(*range(1, 10))
    assert odometry_result.update.scale_known
    assert error_m(drive, odometry_result, 0, 9) < 0.02 * 4.5
    assert odometry_result.header.frame_id == "left_optical"
    assert drive.tracking.report.session == 1 and drive.tracking.report.frames == 10
    assert drive.tracking.report.lost == 0 and len(drive.said) == 1


def test_the_reference_header_is_that_of_the_keyframe() -> None:
    drive = StereoDrive(frames=24)
    for frame in range(24):
        _, odometry_result = drive.follow(frame)
        assert odometry_result is not None
        if frame == 0:
            assert odometry_result.reference_header is None
            continue
        stamp = odometry_result.reference_header.stamp  # type: ignore[union-attr]
        seconds = stamp.sec + stamp.nanosec * 1e-9
        assert seconds == pytest.approx(odometry_result.update.reference_stamp)
        assert seconds < STEP_NS * 1e-9 * frame
    assert seconds > 0  # there was more than one keyframe


def test_dropped_frames_are_no_jump() -> None:
    drive = StereoDrive(frames=12)
    odometry_result = drive.go(0, 1, 2, 7, 8, 11)
    assert odometry_result.session == 1
    assert drive.tracking.report.lost == 0
    assert error_m(drive, odometry_result, 0, 11) < 0.02 * 5.5


def test_blind_frames_are_guessed_and_measured_afterwards() -> None:
    drive = StereoDrive(frames=12)
    drive.go(0, 1, 2, 3)
    sure = drive.tracking.report.sigma_m
    sigmas = []
    for frame in (4, 5, 6):
        _, odometry_result = drive.follow(frame, blind=True)
        assert odometry_result is not None and odometry_result.session == 1
        assert odometry_result.update.status is OdometryStatus.LOST
        # The guess is inside of what the covariance says.
        assert error_m(drive, odometry_result, 0, frame) < 3 * drive.tracking.report.sigma_m
        sigmas.append(drive.tracking.report.sigma_m)
    assert sure < 0.1 < sigmas[0] < sigmas[1] < sigmas[2]
    assert sigmas[2] > 2.5 * sigmas[0]  # a wrong speed stays wrong: it adds up as it is
    odometry_result = drive.go(7)
    assert odometry_result.update.status is OdometryStatus.OK and odometry_result.session == 1
    assert error_m(drive, odometry_result, 0, 7) < 0.1
    assert drive.tracking.report.sigma_m < 0.1
    assert drive.tracking.report.lost == 3


def test_another_scene_is_lost_with_a_covariance_to_match() -> None:
    drive = StereoDrive(frames=8)
    drive.go(0, 1, 2)
    stop = drive.relate
    drive.relate = lambda *views, **how: dataclasses.replace(  # type: ignore[method-assign]
        stop(*views, **how), inlier=np.zeros(len(stop(*views, **how).inlier), dtype=bool)
    )
    # Five seconds later: a guess over fifty times as long is fifty times as uncertain.
    _, odometry_result = drive.follow(3, stamp=52 * STEP_NS)
    assert odometry_result is not None and odometry_result.update.status is OdometryStatus.LOST
    assert drive.tracking.report.sigma_m > 20.0
    drive.relate = stop  # type: ignore[method-assign]
    assert odometry_result.update.pose is not None
    before = odometry_result.update.pose.position
    _, odometry_result = drive.follow(4, stamp=53 * STEP_NS)
    assert odometry_result is not None and odometry_result.update.pose is not None
    assert odometry_result.update.status is OdometryStatus.OK and odometry_result.session == 1
    moved = np.linalg.norm(odometry_result.update.pose.position - before)
    assert moved == pytest.approx(np.linalg.norm(drive.scene.true_motion(3, 4)[1]), rel=0.05)
    assert drive.tracking.report.sigma_m > 20.0  # where all of it lies is as unknown as before


def test_settings_of_the_odometry_reach_it() -> None:
    drive = StereoDrive(config=OdometryConfig(min_inliers=100_000))
    assert drive.go(0, 1).update.status is OdometryStatus.LOST
    assert StereoDrive().go(0, 1).update.status is OdometryStatus.OK


def test_a_reset_begins_a_new_session_and_says_so() -> None:
    drive = StereoDrive()
    drive.go(0, 1, 2)
    odometry_result = drive.go(3, epoch=2)
    assert at_origin(odometry_result) and odometry_result.session == 2
    assert "session 2" in drive.said[-1] and "reset" in drive.said[-1]
    assert odometry_result.reference_header is None
    assert error_m(drive, drive.go(4, 5, epoch=2), 3, 5) < 0.05


def test_time_that_jumps_back_begins_a_new_session() -> None:
    drive = StereoDrive()
    drive.go(7, 8, 9)
    odometry_result = drive.go(0, epoch=2)  # the node counts an epoch for it
    assert at_origin(odometry_result) and odometry_result.session == 2


@pytest.mark.parametrize("what", ["size", "calibration", "baseline"])
def test_another_camera_begins_a_new_session(what: str) -> None:
    drive = StereoDrive()
    drive.go(0, 1, 2)
    if what == "baseline":
        drive.infos["right"].p = drive.infos["right"].p * np.array([1, 1, 1, 2] * 3)
    elif what == "size":
        drive.size = (642, 480)
    else:
        drive.camera = Camera.pinhole(501.0, 500.0, 320.0, 240.0, 640, 480)
    odometry_result = drive.go(3)
    assert at_origin(odometry_result) and odometry_result.session == 2
    assert "calibration" in drive.said[-1]


@pytest.mark.parametrize("wanted", [True, False])
def test_rounding_in_camera_info_is_no_other_camera(wanted: bool) -> None:
    drive = StereoDrive()
    for frame in range(5):
        for info in drive.infos.values():
            info.p, info.r = info.p * (1 + 1e-12), info.r + 1e-12
        drive.follow(frame, wanted=wanted)
    report = drive.tracking.report
    assert report.session == int(wanted)
    assert report.rig is not None and report.rig.matches > 500  # all frames add up


def test_nobody_listens_nothing_is_computed_and_what_comes_next_is_new() -> None:
    drive = StereoDrive()
    drive.go(0, 1, 2)
    drive.fail = True  # the odometry would ask for matches over time
    outcome, odometry_result = drive.follow(3, wanted=False)
    assert odometry_result is None and len(outcome.track_ids) == 0 and drive.errors == []
    assert not drive.tracking.report.running
    drive.fail = False
    odometry_result = drive.go(4)
    assert at_origin(odometry_result) and odometry_result.session == 2


def test_a_fault_costs_the_session_and_not_the_pair() -> None:
    drive = StereoDrive()
    drive.go(0, 1)
    drive.fail = True
    outcome, odometry_result = drive.follow(2)
    assert odometry_result is None and len(outcome.result.inlier) > 0
    assert isinstance(drive.errors[0], np.linalg.LinAlgError)
    drive.fail = False
    odometry_result = drive.go(3)
    assert at_origin(odometry_result) and odometry_result.session == 2


def test_ids_persist_and_are_never_used_twice() -> None:
    drive = StereoDrive(frames=24)
    owner: dict[int, int] = {}
    before: dict[int, int] = {}
    kept = []
    for frame in range(24):
        outcome, _ = drive.follow(frame, epoch=1 + (frame >= 20))
        ids, points = outcome.track_ids, outcome.result.indices0  # feature i is point i
        assert len(ids) == len(points)
        now = {int(p): int(i) for p, i in zip(points, ids, strict=True) if i}
        assert len(now) == len(set(now.values()))
        for point, track in now.items():
            assert owner.setdefault(track, point) == point
        both = now.keys() & before.keys()
        if frame not in (0, 20):
            assert all(now[point] == before[point] for point in both)
            kept.append(len(both) / max(len(before), 1))
        before = now
    assert np.median(kept) > 0.9
    assert len(before) > 50


def test_ids_begin_with_the_first_frame() -> None:
    drive = StereoDrive()
    outcome, _ = drive.follow(0)
    assert (outcome.track_ids > 0).all()


@pytest.mark.parametrize("wanted", [True, False])
def test_a_good_rig_is_not_blamed(wanted: bool) -> None:
    drive = StereoDrive()
    for frame in range(10):
        drive.follow(frame, wanted=wanted)
    check = drive.tracking.report.rig
    assert check is not None
    assert check.shift_px(drive.tracking.report.focal) < 0.5


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize(
    ("axis", "degrees"), [(0, 0.5), (0, -3.0), (2, 0.8)], ids=["pitch", "bad pitch", "roll"]
)
def test_a_turned_right_camera_is_found(wanted: bool, axis: int, degrees: float) -> None:
    turn = np.zeros(3)
    turn[axis] = np.radians(degrees)
    drive = StereoDrive(true_rig=RIG.turned(turn))
    for frame in range(10):
        drive.follow(frame, wanted=wanted)
    check = drive.tracking.report.rig
    assert check is not None
    assert check.drifted(2.0, drive.tracking.report.focal)
    assert check.rotation_deg[axis] == pytest.approx(degrees, rel=0.1, abs=0.05)
    assert abs(check.rotation_deg[2 - axis]) < 0.15


def test_no_baseline_no_odometry() -> None:
    drive = StereoDrive()
    drive.infos["right"].p = drive.infos["right"].p * np.array([1, 1, 1, 0] * 3)
    _, odometry_result = drive.follow(0)
    assert odometry_result is None and drive.errors == []
    assert "baseline" in drive.tracking.report.problem and drive.tracking.report.wanted


def test_headers_are_those_of_the_images() -> None:
    odometry_result = StereoDrive().go(0, 3)
    assert odometry_result.header == raw_header(3 * STEP_NS, "left_optical")
    assert odometry_result.reference_header == raw_header(0, "left_optical")


def test_without_fixed_keypoints_the_rig_is_checked_and_nothing_followed() -> None:
    """The report says why there is no odometry, and what the rig check found all the same."""
    turned = Rig(Rotation.from_rotvec([0.0, np.deg2rad(1.0), 0.0]).as_matrix(), RIG.translation)
    drive = StereoDrive(true_rig=turned)
    for frame in range(10):
        outcome = drive.outcome(frame)
        result = dataclasses.replace(outcome.result, indices0=None, indices1=None)
        same, odometry_result = drive.tracking.update(
            dataclasses.replace(outcome, result=result), 1, wanted=True
        )
        assert odometry_result is None and len(same.track_ids) == 0
    report = drive.tracking.report
    assert report.problem == NO_FIXED_KEYPOINTS and report.wanted and not report.running
    assert report.rig is not None and not drive.errors
    without = drive.tracking.update(drive.outcome(0), 1, wanted=False)
    assert without[1] is None and drive.tracking.report.problem == ""


def test_a_pair_of_a_second_front_end_counts_as_the_refusal_that_it_stands_for() -> None:
    drives = [StereoDrive(), StereoDrive()]
    for frame in range(6):
        poses = []
        for drive, second in zip(drives, (False, True), strict=True):
            outcome = drive.outcome(frame)
            if frame in (3, 5) and second:  # the odometry sees what the first one matched
                first = outcome.result
                other = dataclasses.replace(first, indices0=None, indices1=None, refused=first)
                outcome = dataclasses.replace(outcome, result=other)
            followed, result = drive.tracking.update(outcome, 1, True)
            assert result is not None
            poses.append(result.update.pose)
            if frame in (3, 5):
                assert len(followed.track_ids) == (0 if second else len(outcome.result.inlier))
        np.testing.assert_array_equal(poses[0].matrix, poses[1].matrix)
    assert drives[1].tracking.report.session == 1
