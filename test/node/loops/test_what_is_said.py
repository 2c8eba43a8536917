"""What the node says of what a mapper does: edges that are taken back, queues, transforms."""
# ruff: noqa: E402

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg", "tf2_msgs"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from geometry_msgs.msg import TransformStamped
from msga_ros.msg import LoopEdge, RequestStatus
from node.harness import header, stamp_ns
from node.loops.bench import START, LoopBench
from node.loops.conftest import K, scene
from node.loops.test_bad_days import asked, go, values
from tf2_msgs.msg import TFMessage

from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.reports import (
    Location,
    MapPose,
    Outcome,
    ScaleSource,
    Verdict,
    View,
)
from msga_ros.loops.reports import LoopEdge as Edge
from msga_ros.odometry.poses import UncertainPose
from msga_ros.stream.errors import BadInput
from msga_ros.stream.loops.session import LoadedMap
from msga_ros.two_view.result import Status

pytestmark = pytest.mark.ros


def edge(reference: int, current: int) -> Edge:
    pose = UncertainPose(np.eye(3), np.array([0.0, 0, 1]), 0.01 * np.eye(6))
    ends = (reference, current, 100.0 + reference, 100.0 + current)
    return Edge(*ends, pose, 50, ScaleSource.ODOMETRY, Status.OK, 0.7, 1)


class ScriptedMap:
    """Every view is a keyframe; `accept` and `take_back` say what comes with the next one."""

    def __init__(self) -> None:
        self.stamps: list[float] = []
        self.views: list[View] = []
        self.edges: tuple[Edge, ...] = ()
        self.accept: list[Edge] = []
        self.take_back: list[Edge] = []
        self.notes: tuple[str, ...] = ()
        self.go: threading.Semaphore | None = None
        self.begun = threading.Semaphore(0)
        self.map_from_odom: Pose | None = None
        self.closed = False
        self.fails: Exception | None = None

    @property
    def mapper(self) -> ScriptedMap:
        return self

    def due(self, stamp: float, odometry: Pose | None) -> bool:
        return True

    def add(self, view: View) -> Outcome:
        self.begun.release()
        if self.go is not None:
            assert self.go.acquire(timeout=30)
        if self.fails is not None:
            raise self.fails
        self.stamps.append(view.stamp)
        self.views.append(view)
        taken = tuple(self.take_back)
        self.edges = (*(one for one in self.edges if one not in taken), *self.accept)
        accepted, self.accept, self.take_back = tuple(self.accept), [], []
        number = len(self.stamps) - 1
        return Outcome(Verdict.KEYFRAME, number, accepted, taken, self.notes, bool(taken))

    def locate(self, image: np.ndarray, camera: Any) -> Location:
        return Location(False, "no keyframe shows the same")

    def path(self) -> list[MapPose]:
        return [MapPose(n, stamp, Pose.identity()) for n, stamp in enumerate(self.stamps)]

    def save(self, path: Path) -> int:
        raise OSError(28, "No space left on device", str(path))

    @property
    def damage(self) -> tuple[str, ...]:
        return ()

    def load(self, path: Path, discard: bool) -> LoadedMap:
        raise BadInput("map_file", "not a map of keyframes")

    @property
    def file(self) -> str:
        return ""

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def scripted(make_bench: Callable[..., LoopBench]) -> tuple[LoopBench, ScriptedMap]:
    made = ScriptedMap()
    settings = {"loops.optimise": True, "images.queue_size": 2}
    one = make_bench(open_map=lambda model, settings: made, **settings)
    one.mount()
    return one, made


def test_an_edge_that_is_taken_back_is_said_and_may_come_again(
    scripted: tuple[LoopBench, ScriptedMap],
) -> None:
    one, made = scripted
    for number in range(3):
        go(one, number, number, number)
    made.accept = [edge(0, 3), edge(1, 3)]
    go(one, 3, 3, 3)
    made.take_back = [made.edges[0]]
    made.notes = ("a loop contradicts the rest",)
    go(one, 4, 4, 4)
    made.accept = [edge(0, 3)]
    go(one, 5, 5, 5)
    one.spin_until(lambda: len(one.heard["edges"]) == 4)
    said = [(each.reference, each.current, each.action) for each in one.heard["edges"]]
    accepted, taken = LoopEdge.ACCEPTED, LoopEdge.TAKEN_BACK
    assert said == [(0, 3, accepted), (1, 3, accepted), (0, 3, taken), (0, 3, accepted)]
    # Stamps are those of the images, to the nanosecond.
    assert stamp_ns(one.heard["edges"][0].header) == START + 3 * 10**9
    assert stamp_ns(one.heard["edges"][0].reference_header) == START
    assert (one.counts.loops, one.counts.taken_back) == (2, 1)
    assert values(one.status("loops"))["last_note"] == "a loop contradicts the rest"


def test_loops_of_an_earlier_run_are_said_with_the_first_image(
    scripted: tuple[LoopBench, ScriptedMap],
) -> None:
    one, made = scripted
    made.stamps, made.edges = [100.0, 101.0], (edge(0, 1),)
    go(one, 0, 0, 1)
    one.spin_until(lambda: one.heard["edges"])
    (said,) = one.heard["edges"]
    assert said.header.frame_id == "camera" and stamp_ns(said.header) == 101 * 10**9
    assert said.base_frame == "base_link"


def test_callbacks_do_not_wait_and_the_oldest_image_is_dropped(
    scripted: tuple[LoopBench, ScriptedMap],
) -> None:
    one, made = scripted
    made.go = threading.Semaphore(0)
    for number in range(5):
        one.odometry(number - 0.01, [number, 0, 0])
        one.odometry(number + 0.01, [number, 0, 0])
        one.image(number, scene(number), K)
        one.spin_until(lambda number=number: one.statistics.received["/odom"] == 2 * number + 2)
        if number == 0:
            one.spin_until(lambda: made.begun.acquire(blocking=False))
    one.spin_until(lambda: one.statistics.dropped == {"superseded": 2})
    made.go.release(10)
    one.spin_until(lambda: one.settled() == 5)
    assert made.stamps == [START * 1e-9 + number for number in (0, 3, 4)]


def test_a_request_that_is_late_or_too_many_is_answered(
    scripted: tuple[LoopBench, ScriptedMap],
) -> None:
    one, made = scripted
    one.node.trigger_deactivate()
    answer = one.answer("locate", asked(1))
    assert answer.status.code == RequestStatus.NOT_ACTIVE and "inactive" in answer.message
    one.node.trigger_activate()
    answer = one.answer("locate", asked(1))
    assert answer.success and not answer.found
    made.go = threading.Semaphore(0)
    one.spin_until(lambda: one.inputs["odom"].get_subscription_count() > 0)
    one.spin_until(lambda: one.inputs["image"].get_subscription_count() > 0)
    one.odometry(-0.01, [0, 0, 0])
    one.odometry(0.01, [0, 0, 0])
    one.image(0, scene(0), K)
    one.spin_until(lambda: made.begun.acquire(blocking=False))
    most = one.node.settings["requests.queue_size"]
    waiting = [one.clients["locate"].call_async(asked(1, timeout=0.001)) for _ in range(most)]
    counts = one.node._request_counts
    one.spin_until(lambda: counts.snapshot()["locate"].waiting == most)
    full = one.answer("locate", asked(1))
    assert full.status.code == RequestStatus.QUEUE_FULL
    made.go.release(10)
    for future in waiting:
        one.spin_until(future.done)
        assert future.result().status.code == RequestStatus.DEADLINE_PASSED


def test_the_transform_yields_to_another_localiser(
    scripted: tuple[LoopBench, ScriptedMap],
) -> None:
    one, made = scripted
    made.map_from_odom = Pose(np.eye(3), np.array([0.0, 2.0, 0.0]))
    go(one, 0, 0, 0)
    one.spin_until(lambda: one.node._resources._outputs._frames.listened)
    one.odometry(1, [0, 0, 0])
    one.spin_until(lambda: one.heard["tf"])
    (said,) = one.heard["tf"][-1].transforms
    assert (said.header.frame_id, said.child_frame_id) == ("map", "odom")
    assert said.transform.translation.y == 2.0
    other = TransformStamped(header=header(START, "earth"), child_frame_id="odom")
    other.transform.rotation.w = 1.0
    one.tf.publish(TFMessage(transforms=[other]))
    frames = one.node._resources._outputs._frames
    one.spin_until(lambda: frames.rival("map", "odom"))
    one.odometry(2, [0, 0, 0])
    one.spin_until(lambda: "has a parent already" in one.status("odometry").message)


def test_what_the_mapper_did_not_foresee_is_counted_and_survived(
    scripted: tuple[LoopBench, ScriptedMap],
) -> None:
    one, made = scripted
    made.fails = RuntimeError("out of cheese")
    go(one, 0, 0, 0)
    assert one.statistics.dropped == {"error": 1}
    assert "RuntimeError: out of cheese" in one.status("loops").message
    made.fails = None
    go(one, 1, 1, 1)
    assert one.counts.images == {"keyframe": 1}
    one.node.trigger_deactivate()
    one.node.trigger_cleanup()
    assert made.closed


def test_a_depth_image_goes_to_the_mapper_in_metres(make_bench: Callable[..., LoopBench]) -> None:
    made = ScriptedMap()
    settings = {"depth.use": True, "odometry.source": "none", "images.interval": 0.0}
    one = make_bench(open_map=lambda model, now: made, **settings)
    depth = np.full((240, 320), 2500, np.uint16)  # REP 118: millimetres
    depth[0, 0] = 0
    one.image(0, scene(0), K, depth=depth)
    one.spin_until(lambda: one.settled() == 1)
    (view,) = made.views
    assert view.depth is not None and view.depth[1, 1] == 2.5 and np.isnan(view.depth[0, 0])
    one.image(1, scene(1), K, depth=depth[:100])
    one.spin_until(lambda: one.statistics.dropped == {"bad_input": 1})
    assert "it is not registered to it" in one.status("input").message
