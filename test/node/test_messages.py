"""Messages say what their .msg files promise: directions, scale, covariance, unknowns."""
# ruff: noqa: E402

from __future__ import annotations

import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package (make setup, source it)")

from msga_ros.msg import Correspondences, RelativePose
from node.scenes import transform_of
from std_msgs.msg import Header
from stream.fakes import CAMERA, make_features, make_result

from msga_ros.geometry.camera import Camera
from msga_ros.node.markers import frustum, inlier_points, markers_message
from msga_ros.node.messages import correspondences_message, relative_pose_message
from msga_ros.stream.message_fields import quaternion
from msga_ros.stream.processor import Outcome
from msga_ros.stream.reference_view import View
from msga_ros.stream.settings import Settings
from msga_ros.two_view.pipeline import Status, TwoViewResult

pytestmark = pytest.mark.ros


def rotation_about(axis: list[float], degrees: float) -> np.ndarray:
    """Rodrigues' formula."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def make_outcome(
    result: TwoViewResult, baseline: float | None = None, stereo: bool = True
) -> Outcome:
    views = []
    for number, name in ((0, "left"), (1, "right")):
        header = Header(frame_id=name)
        header.stamp.sec = 100 + number
        views.append(View(header, np.zeros((480, 640), np.uint8), CAMERA, make_features(100)))
    ids = np.arange(len(result.inlier), dtype=np.uint64)
    return Outcome(views[0], views[1], result, ids, stereo, False, baseline)


def test_transform_is_the_pose_of_the_current_view_in_the_reference() -> None:
    # The camera moves 2 m forward and 1 m right and turns 30 degrees to the right (about +y, down).
    turn = rotation_about([0, 1, 0], 30)  # current axes in the reference frame
    position = np.array([1.0, 0.0, 2.0])
    rotation, translation = turn.T, -turn.T @ position  # x_cur = R x_ref + t
    length = np.linalg.norm(translation)
    message = relative_pose_message(
        make_outcome(make_result(rotation=rotation, translation=translation / length))
    )
    found_rotation, found_position = transform_of(message.transform)
    np.testing.assert_allclose(found_rotation, turn, atol=1e-12)
    np.testing.assert_allclose(found_position, position / length, atol=1e-12)
    # What lies straight ahead of the current camera is seen to the right in the reference.
    ahead = found_rotation @ [0, 0, 1]
    assert ahead[0] > 0.4 and ahead[2] > 0.8
    assert not message.translation_scale_known


def test_right_camera_lies_to_the_right_of_the_left_one_in_metres() -> None:
    # A point has a smaller x in the right camera: x_right = x_left - baseline.
    result = make_result(translation=np.array([-1.0, 0.0, 0.0]))
    message = relative_pose_message(make_outcome(result, baseline=0.12))
    _, position = transform_of(message.transform)
    np.testing.assert_allclose(position, [0.12, 0, 0], atol=1e-12)
    assert message.translation_scale_known
    covariance = np.array(message.covariance).reshape(6, 6)
    scale = np.diag([0.12, 0.12, 0.12, 1, 1, 1])
    np.testing.assert_allclose(covariance, scale @ result.covariance @ scale)


def test_headers_and_counts_of_both_views() -> None:
    outcome = make_outcome(make_result(100, 80), stereo=False)
    pose, matches = relative_pose_message(outcome), correspondences_message(outcome)
    for message in (pose, matches):
        headers = (message.reference_header, message.header)
        assert [one.frame_id for one in headers] == ["left", "right"]
        assert [one.stamp.sec for one in headers] == [100, 101]
    assert matches.pairing == Correspondences.PAIRING_TEMPORAL
    assert (matches.width, matches.height) == (640, 480)
    np.testing.assert_array_equal(np.reshape(matches.k, (3, 3)), CAMERA.k)
    counts = (matches.detected, matches.matched, matches.network_inliers, matches.geometric_inliers)
    assert counts == (100, 100, 80, 80)
    assert pose.inliers == 80
    assert pose.inlier_ratio == pytest.approx(0.8)
    assert pose.median_parallax == pytest.approx(np.radians(1.0))
    np.testing.assert_allclose(np.reshape(pose.essential, (3, 3)), outcome.result.essential)


def test_rows_of_correspondences_belong_together() -> None:
    result = make_result(50, 30)
    message = correspondences_message(make_outcome(result))
    assert message.pairing == Correspondences.PAIRING_STEREO
    np.testing.assert_array_equal(np.reshape(message.reference_points, (-1, 2)), result.keypoints0)
    np.testing.assert_array_equal(np.reshape(message.points, (-1, 2)), result.keypoints1)
    np.testing.assert_array_equal(message.inlier_probability, result.inlier_probability)
    np.testing.assert_array_equal(message.inlier, result.inlier)
    np.testing.assert_array_equal(message.track_ids, np.arange(50))


def test_unknown_pose_looks_as_the_message_file_says() -> None:
    empty = make_result(0, 0, status=Status.TOO_FEW_MATCHES)
    message = relative_pose_message(make_outcome(empty, baseline=0.5))
    assert message.status == RelativePose.STATUS_TOO_FEW_MATCHES
    rotation, position = transform_of(message.transform)
    np.testing.assert_array_equal(rotation, np.eye(3))
    np.testing.assert_array_equal(position, np.zeros(3))
    assert message.covariance[0] == -1 and not np.any(message.covariance[1:])
    assert not np.any(message.essential)
    assert not message.translation_scale_known
    assert message.inlier_ratio == 0 and message.median_parallax == 0
    assert len(correspondences_message(make_outcome(empty)).points) == 0


def test_degenerate_keeps_the_rotation() -> None:
    turn = rotation_about([0, 0, 1], 10)
    result = make_result(status=Status.DEGENERATE, rotation=turn, parallax_deg=0.01)
    message = relative_pose_message(make_outcome(result))
    assert message.status == RelativePose.STATUS_DEGENERATE
    np.testing.assert_allclose(transform_of(message.transform)[0], turn.T, atol=1e-12)


@pytest.mark.parametrize("degrees", [0, 1e-4, 45, 90, 179.9, 180])
@pytest.mark.parametrize("axis", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, -2, 3]])
def test_quaternion_of_every_rotation(axis: list[float], degrees: float) -> None:
    half = np.radians(degrees) / 2
    expected = np.append(np.sin(half) * np.array(axis) / np.linalg.norm(axis), np.cos(half))
    found = np.array(quaternion(rotation_about(axis, degrees)))
    assert found[3] >= 0
    assert min(np.abs(found - expected).max(), np.abs(found + expected).max()) < 1e-7


def two_view_outcome(baseline: float | None) -> tuple[Outcome, np.ndarray]:
    """Ten points 4..8 baselines ahead of a camera that moved one baseline to the right."""
    rng = np.random.default_rng(2)
    points = rng.uniform([-1, -1, 4], [1, 1, 8], (10, 3))  # in the reference frame, in baselines
    in_current = points - [1.0, 0, 0]
    result = make_result(
        10,
        10,
        keypoints0=CAMERA.project(points[:, :2] / points[:, 2:]),
        keypoints1=CAMERA.project(in_current[:, :2] / in_current[:, 2:]),
        translation=np.array([-1.0, 0, 0]),
    )
    return make_outcome(result, baseline), in_current


def test_markers_hold_the_points_in_the_current_frame() -> None:
    outcome, in_current = two_view_outcome(None)
    np.testing.assert_allclose(inlier_points(outcome, 100.0), in_current, atol=1e-6)
    settings = Settings.from_values({"publish.marker_baseline": 2.0})
    cloud, current, reference = markers_message(outcome, settings).markers
    assert cloud.header.frame_id == "right" and cloud.header.stamp.sec == 101
    drawn = np.array([[p.x, p.y, p.z] for p in cloud.points])
    np.testing.assert_allclose(drawn, 2.0 * in_current, atol=1e-6)
    assert (current.points[0].x, current.points[0].z) == (0, 0)
    # The reference camera stands one (drawn: 2 m) baseline to the left.
    assert (reference.points[0].x, reference.points[0].y) == pytest.approx((-2.0, 0.0))


def test_markers_are_metric_with_a_known_baseline_and_leave_far_points_out() -> None:
    outcome, in_current = two_view_outcome(0.5)
    cloud = markers_message(outcome, Settings.from_values({})).markers[0]
    np.testing.assert_allclose(cloud.points[0].z, 0.5 * in_current[0, 2], atol=1e-6)
    assert len(inlier_points(outcome, 6.0)) == np.count_nonzero(in_current[:, 2] < 6.0)


def test_markers_are_cleared_without_a_pose() -> None:
    lost = make_outcome(make_result(0, 0, status=Status.TOO_FEW_MATCHES))
    (marker,) = markers_message(lost, Settings.from_values({})).markers
    assert marker.action == marker.DELETEALL


def test_frustum_looks_forward() -> None:
    edges = frustum(Camera.pinhole(500, 500, 319.5, 239.5), (640, 480), 2.0)
    assert edges.shape == (16, 3)
    assert edges[:, 2].min() == 0 and edges[:, 2].max() == pytest.approx(2.0)
    np.testing.assert_allclose(edges[1], [-1.278, -0.958, 2.0], atol=1e-9)
