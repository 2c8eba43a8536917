"""There and back on a real road, back with the other camera: edges, path, transform, locate.

The odometry is the truth with a drift added on the way back.
"""
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg", "tf2_msgs"):
    pytest.importorskip(needed, reason="needs the built ROS package")
pytest.importorskip("gtsam", reason="GTSAM is not installed")

import rclpy
from geometry_msgs.msg import PoseWithCovariance
from msga_ros.msg import CameraImage, LoopEdge
from msga_ros.srv import Locate
from node.harness import camera_info, domain_id, header, stamp_ns
from node.loops.bench import MOUNT_POSITION, MOUNT_ROTATION, START, LoopBench
from node.loops.conftest import SETTINGS
from node.scenes import StereoSequence
from rclpy.context import Context

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.pose import invert_pose
from msga_ros.geometry.rotations import rotation_from_quaternion
from msga_ros.node.image_message import image_message
from msga_ros.stream.model_loading import Model

pytestmark = pytest.mark.ros

THERE = [(frame, "left") for frame in (0, 3, 6)]
WAY = [*THERE, *((frame, "right") for frame, _ in reversed(THERE))]
GAP = 10.0  # s between two images: all before are candidates
DRIFT = np.array([0.0, 0.15, 0.0])  # m with each image of the way back
MOUNT = Pose(MOUNT_ROTATION, MOUNT_POSITION)


class Road:
    """Half the size of the images; the robot's poses in the frame where it began."""

    def __init__(self, folder: Path) -> None:
        self._sequence = StereoSequence(folder)
        poses = [self._camera(frame, cam) for frame, cam in WAY]
        start = MOUNT.after(poses[0]).inverse()  # of the robot, in the world
        self.truth = [MOUNT.after(one).after(start).inverse() for one in poses]

    def _camera(self, frame: int, cam: str) -> Pose:
        one = self._sequence._images[frame, cam]
        return Pose(np.array(one["R"]), np.array(one["t"]))

    def image(self, frame: int, cam: str) -> tuple[np.ndarray, np.ndarray]:
        pixels = self._sequence.pixels(frame, cam)
        small = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return small, np.diag([0.5, 0.5, 1.0]) @ self._sequence.k(frame, cam)


@pytest.fixture(scope="module")
def road(kitti: Path) -> Road:
    return Road(kitti)


@pytest.fixture(scope="module")
def drive(road: Road, model: Model) -> Iterator[LoopBench]:
    """The node after the whole way."""
    context = Context()
    rclpy.init(context=context, domain_id=domain_id())
    settings = {**SETTINGS, "loops.optimise": True, "loops.keyframe_distance": 0.3}
    one = LoopBench(context, load=lambda _: model, **settings)
    one.mount()
    for number, (frame, cam) in enumerate(WAY):
        pose, at = road.truth[number], GAP * number
        drift = DRIFT * max(0, number - len(THERE) + 1)
        for moment in (at - 0.01, at + 0.01):
            one.odometry(moment, pose.translation + drift, pose.rotation)
        one.image(at, *road.image(frame, cam))
        one.spin_until(lambda number=number: one.settled() > number)
    one.spin_until(lambda: len(one.heard["edges"]) >= one.counts.loops > 0)
    one.spin_until(lambda: one.heard["path"] and len(one.heard["path"][-1].poses) == len(WAY))
    frames = one.node._resources._outputs._frames  # which first hears out who else publishes one
    one.spin_until(lambda: frames.listened)
    one.heard["tf"].clear()
    last = road.truth[-1]  # the transform comes with the odometry
    one.odometry(at + 1.0, last.translation + drift, last.rotation)
    one.spin_until(lambda: one.heard["tf"])
    yield one
    one.close()
    context.shutdown()


def pose_of(message: PoseWithCovariance) -> tuple[np.ndarray, np.ndarray]:
    at, turn = message.pose.position, message.pose.orientation
    rotation = rotation_from_quaternion([turn.x, turn.y, turn.z, turn.w])
    return rotation, np.array([at.x, at.y, at.z])


def within(error: np.ndarray, message: PoseWithCovariance) -> bool:
    """Whether each coordinate errs by what its standard deviation allows, and that is little."""
    sigmas = np.sqrt(np.diag(message.covariance.reshape(6, 6))[:3])
    return bool((np.abs(error) < 3 * sigmas + 0.03).all() and sigmas.max() < 0.5)


def frame_of(edge: LoopEdge) -> tuple[int, int]:
    """The images of an edge, by their stamps."""
    stamps = (edge.reference_header, edge.header)
    return tuple(round((stamp_ns(one) - START) * 1e-9 / GAP) for one in stamps)  # type: ignore


def test_every_image_became_a_keyframe(drive: LoopBench) -> None:
    assert drive.counts.images == {"keyframe": len(WAY)}
    assert drive.statistics.dropped == drive.statistics.errors == {}


def test_edges_are_poses_of_the_robot_and_of_the_camera(drive: LoopBench, road: Road) -> None:
    """Against the truth, to which the drift has added nothing: it is between the keyframes."""
    metric = [one.scale != LoopEdge.SCALE_UNKNOWN for one in drive.heard["edges"]]
    assert sum(metric) >= 2
    for edge in drive.heard["edges"]:
        reference, current = frame_of(edge)
        assert (reference, current) == (edge.reference, edge.current)
        assert edge.header.frame_id == edge.reference_header.frame_id == "camera"
        assert edge.action == LoopEdge.ACCEPTED and edge.status == LoopEdge.STATUS_OK
        if edge.scale == LoopEdge.SCALE_UNKNOWN:  # no length, so no motion of the robot
            assert edge.base_frame == "" and edge.pose.covariance.max() > 1e10
            assert np.isclose(np.linalg.norm(pose_of(edge.pose)[1]), 1.0)
            continue
        assert edge.scale == LoopEdge.SCALE_ODOMETRY and edge.base_frame == "base_link"
        robot = road.truth[current].relative_to(Pose.identity())
        true = road.truth[reference].inverse().after(robot)
        rotation, position = pose_of(edge.base_pose)
        assert (
            np.degrees(np.arccos(np.clip((np.trace(true.rotation.T @ rotation) - 1) / 2, -1, 1)))
            < 1
        )
        assert within(position - true.translation, edge.base_pose)
        # The camera's edge is the same motion, seen from where the camera sits.
        camera = MOUNT.inverse().after(true).after(MOUNT)
        rotation, position = pose_of(edge.pose)
        assert within(position - camera.translation, edge.pose)
        for message in (edge.pose, edge.base_pose):
            covariance = message.covariance.reshape(6, 6)
            assert np.allclose(covariance, covariance.T)
            assert np.linalg.eigvalsh(covariance).min() > 0 and covariance.max() < 0.25


def test_the_path_is_corrected(drive: LoopBench, road: Road) -> None:
    path = drive.heard["path"][-1]
    assert path.header.frame_id == "map"
    found = np.array([[one.pose.position.x, one.pose.position.y, one.pose.position.z]
                      for one in path.poses])  # fmt: skip
    true = np.array([one.translation for one in road.truth])
    errors = np.linalg.norm(found - true, axis=1)
    drift = np.linalg.norm(DRIFT) * len(THERE)  # of the last image, before
    assert errors[-1] < drift / 2
    assert [stamp_ns(one.header) for one in path.poses] == [
        START + round(GAP * number * 1e9) for number in range(len(WAY))
    ]


def test_the_transform_takes_the_odometry_into_the_map(drive: LoopBench, road: Road) -> None:
    (transform,) = drive.heard["tf"][-1].transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ("map", "odom")
    shift, turn = transform.transform.translation, transform.transform.rotation
    rotation = rotation_from_quaternion([turn.x, turn.y, turn.z, turn.w])
    said = road.truth[-1].translation + DRIFT * len(THERE)
    in_map = rotation @ said + [shift.x, shift.y, shift.z]
    last = drive.heard["path"][-1].poses[-1].pose.position
    assert np.allclose(in_map, [last.x, last.y, last.z], atol=1e-3)
    newest = START + round((GAP * (len(WAY) - 1) + 1.0) * 1e9)
    assert stamp_ns(transform.header) == newest + 100_000_000


def test_an_image_from_between_is_located(drive: LoopBench, road: Road) -> None:
    pixels, k = road.image(2, "left")
    made = header(START + 999, "camera")
    view = CameraImage(
        image=image_message(pixels, made), camera_info=camera_info(k, pixels.shape[1::-1], made)
    )
    answer = drive.answer("locate", Locate.Request(view=view))
    assert answer.success and answer.found and answer.located, answer.message
    assert answer.pose.header.frame_id == "map" and stamp_ns(answer.pose.header) == START + 999
    assert answer.edge.current == 2**32 - 1 and answer.edge.header == made
    rotation, position = pose_of(answer.pose.pose)
    camera = road._camera(2, "left")
    start = MOUNT.after(road._camera(0, "left")).inverse()
    true_rotation, true_position = invert_pose(*_of(camera.after(start)))
    assert np.linalg.norm(position - true_position) < 0.25
    assert np.allclose(rotation, true_rotation, atol=0.02)
    assert (np.diag(answer.pose.pose.covariance.reshape(6, 6)) > 0).all()


def test_markers_show_keyframes_and_loops(drive: LoopBench) -> None:
    shown = {one.ns: one for one in drive.heard["loops"][-1].markers}
    assert len(shown["keyframes"].points) == len(WAY)
    metric = sum(one.scale != LoopEdge.SCALE_UNKNOWN for one in drive.heard["edges"])
    assert len(shown["loops"].points) == 2 * metric
    assert len(shown["unscaled"].points) == 2 * (drive.counts.loops - metric)
    assert shown["loops"].header.frame_id == "map"


def test_who_comes_later_hears_all_edges(drive: LoopBench) -> None:
    from node.loops.bench import OUTPUTS

    from msga_ros.node.qos import static_qos

    late: list[LoopEdge] = []
    drive.source.create_subscription(
        OUTPUTS["edges"], "/msga_loops/edges", late.append, static_qos(depth=100)
    )
    drive.spin_until(lambda: len(late) == len(drive.heard["edges"]))


def _of(pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    return pose.rotation, pose.translation
