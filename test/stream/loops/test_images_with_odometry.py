"""Images wait for their odometry, in order, and each is given away or refused, once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from msga_ros.stream.loops.images_with_odometry import ImagesWithOdometry, ImageWithOdometry
from msga_ros.stream.loops.odometry_buffer import OdometryBuffer, OdometryPose


def image(seconds: float) -> dict[str, Any]:
    stamp = SimpleNamespace(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))
    return {"image": SimpleNamespace(header=SimpleNamespace(stamp=stamp, frame_id="camera"))}


def pose(seconds: float) -> OdometryPose:
    return OdometryPose(round(seconds * 1e9), np.eye(3), np.array([seconds, 0, 0]), "odom", "base")


class Waiting:
    def __init__(self, odometry: bool = True, depth: int = 3) -> None:
        self.ready: list[ImageWithOdometry] = []
        self.refused: list[str] = []
        self.now = 0.0
        self.images = ImagesWithOdometry(
            OdometryBuffer(1.0) if odometry else None,
            self.ready.append,
            lambda reason, text: self.refused.append(reason),
            patience=2.0,
            depth=depth,
            clock=lambda: self.now,
        )

    @property
    def positions(self) -> list[float]:
        return [one.odometry.position[0] for one in self.ready if one.odometry is not None]


def test_an_image_waits_for_the_pose_after_it() -> None:
    one = Waiting()
    one.images.odometry(pose(0))
    one.images.image(image(0.5))
    one.images.image(image(0.75))
    assert (one.ready, len(one.images)) == ([], 2)
    one.images.odometry(pose(0.6))
    assert np.allclose(one.positions, [0.5])
    one.images.odometry(pose(1))
    assert np.allclose(one.positions, [0.5, 0.75])
    assert one.refused == [] and len(one.images) == 0


def test_without_odometry_nothing_waits() -> None:
    one = Waiting(odometry=False)
    one.images.image(image(0.5))
    assert [ready.odometry for ready in one.ready] == [None]
    assert not one.images.odometry(pose(0))


def test_what_gets_no_pose_is_refused_and_does_not_hold_up_the_next() -> None:
    one = Waiting()
    one.images.odometry(pose(1))
    one.images.image(image(0.5))  # before all that is known
    assert one.refused == ["no_odometry"]
    one.images.image(image(1.5))
    one.now = 1.0
    one.images.image(image(3.5))
    one.now = 2.5
    one.images.look()  # the odometry is silent: the first has waited too long
    assert one.refused == ["no_odometry"] * 2 and len(one.images) == 1
    one.images.odometry(pose(3.4))
    one.images.odometry(pose(3.6))
    assert np.allclose(one.positions, [3.5])


def test_of_too_many_the_oldest_is_refused() -> None:
    one = Waiting(depth=3)
    for number in range(5):
        one.images.image(image(number))
    assert one.refused == ["waiting", "waiting"]
    one.images.odometry(pose(1.9))
    for number in (2, 2.5, 3, 4):
        one.images.odometry(pose(number))
    assert one.positions == [2, 3, 4]


def test_poses_since_the_image_before_go_along() -> None:
    one = Waiting()
    for number in range(200):  # 100 Hz
        one.images.odometry(pose(number / 100))
    one.images.image(image(1.005))
    one.images.image(image(1.5))
    trail = [round(each.position[0], 3) for each in one.ready[1].trail]
    assert trail == [1.01, 1.06, 1.11, 1.16, 1.21, 1.26, 1.31, 1.36, 1.41, 1.46]
    assert one.ready[0].trail[0].stamp == 0


def test_time_that_begins_anew_refuses_what_waits_and_forgets_the_odometry() -> None:
    one = Waiting()
    one.images.odometry(pose(10))
    one.images.image(image(11))
    one.images.reset()
    assert one.refused == ["reset"]
    assert one.images.odometry(pose(1)) and one.images.odometry(pose(1.2))
    one.images.image(image(1.1))
    assert np.allclose(one.positions, [1.1])
