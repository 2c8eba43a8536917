"""What the node makes of the messages that arrive, by its parameters; the node in this process."""
# ruff: noqa: E402

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

import rclpy
from node.harness import TEMPORAL, camera_info, header
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from stream.fakes import CAMERA, SIZE, FakePipeline

from msga_ros.frontend.base import Features
from msga_ros.node.image_message import image_message
from msga_ros.node.inputs import other_transport
from msga_ros.node.node import MsgaNode
from msga_ros.stream.model_loading import Model
from msga_ros.stream.statistics import Snapshot

pytestmark = pytest.mark.ros

START = 1_700_000_000_000_000_000
MS = 1_000_000
# Nothing may be lost on the way, so that what is missing was dropped by the node.
RELIABLE = {f"qos_overrides./{name}.subscription.reliability": "reliable" for name in TEMPORAL}


class ReadyPipeline(FakePipeline):
    """Takes every configuration."""

    device = matching_device = "cpu"
    follows = False
    device_problem = ""

    def reconfigure(self, config: Any) -> None:
        """Nothing depends on it."""


class HeldPipeline(ReadyPipeline):
    """Works on the first image until it is released."""

    def __init__(self, follows: bool) -> None:
        super().__init__()
        self.follows = follows
        self.begun, self.released = threading.Event(), threading.Event()

    def extract(self, image: np.ndarray) -> Features:
        self.begun.set()
        self.released.wait(60)
        return super().extract(image)


class Bench:
    """An active node and a publisher of its inputs, spun by hand."""

    def __init__(
        self,
        context: Context,
        latched: QoSProfile | None = None,
        only: tuple[str, ...] = TEMPORAL,
        pipeline: ReadyPipeline | None = None,
        **parameters: Any,
    ) -> None:
        """`latched`: QoS of a camera_info that was published once, before the node is there;
        `only`: the inputs that the node is expected to listen to."""
        values = {"mode": "temporal", "autostart": False, **RELIABLE, **parameters}
        self.node = MsgaNode(
            load=lambda _: Model(pipeline or ReadyPipeline(), "none"),
            context=context,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        self._source = rclpy.create_node("source", context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._publishers = {
            name: self._source.create_publisher(kind, name, QoSProfile(depth=20))
            for name, kind in zip(TEMPORAL, (Image, CameraInfo), strict=True)
        }
        if latched is not None:
            self._source.destroy_publisher(self._publishers["camera_info"])
            made = self._source.create_publisher(CameraInfo, "camera_info", latched)
            self._publishers["camera_info"] = made
            self.publish("camera_info", 0)
        for node in (self.node, self._source):
            self._executor.add_node(node)
        self.node.trigger_configure()
        if self.node.state == "inactive":
            self.node.trigger_activate()
        for name in only:
            one = self._publishers[name]
            self.spin_until(lambda one=one: one.get_subscription_count() > 0)

    @property
    def counts(self) -> Snapshot:
        """What the node has counted."""
        return self.node._statistics.snapshot()

    def send(self, name: str, *milliseconds: float) -> None:
        """Messages of one input, one after the other; then spin until all have been taken."""
        before = self.counts.received.get(f"/{name}", 0)
        self.publish(name, *milliseconds)
        self.spin_until(
            lambda: self.counts.received.get(f"/{name}", 0) == before + len(milliseconds)
        )

    def publish(self, name: str, *milliseconds: float) -> None:
        """Messages of one input, all at once."""
        for when in milliseconds:
            made = header(START + round(when * MS), "camera")
            if name == "image":
                message = image_message(np.full(SIZE[::-1], 90, np.uint8), made)
            else:
                message = camera_info(CAMERA.k, SIZE, made)
            self._publishers[name].publish(message)

    def spin_until(self, done: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, self.counts
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self.node.close()
        self._executor.shutdown()
        self.node.destroy_node()
        self._source.destroy_node()


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    context, made = Context(), []
    rclpy.init(context=context)

    def make(**parameters: Any) -> Bench:
        made.append(Bench(context, **parameters))
        return made[-1]

    yield make
    for one in made:
        one.close()
    context.shutdown()


def test_slop_changes_while_the_node_runs(bench: Callable[..., Bench]) -> None:
    one = bench(**{"sync.camera_info": "equal"})
    one.send("image", 0)
    one.send("camera_info", 4)
    assert one.counts.sets == 0  # four milliseconds apart
    (answer,) = one.node.set_parameters([Parameter("sync.slop", value=0.005)])
    assert answer.successful
    one.send("image", 100)
    one.send("camera_info", 104)
    assert one.counts.sets == 1
    one.node.set_parameters([Parameter("sync.slop", value=0.0)])
    one.send("image", 200)
    one.send("camera_info", 204)
    assert one.counts.sets == 1


def test_stamps_that_a_driver_leaves_empty_are_named(bench: Callable[..., Bench]) -> None:
    one = bench(**{"publish.no_input_warning": 0.5})
    for _ in range(3):
        one.send("image", -START / MS)
        one.send("camera_info", -START / MS)
    assert one.counts.sets == 1
    one.spin_until(lambda: one.counts.since_set > 0.5)
    told = one.node._silence(one.counts)
    assert "the stamps do not advance (0.000000000): the driver leaves header.stamp empty" in told
    assert "sync.slop" not in told


@pytest.mark.parametrize(("size", "sets"), [(2, 2), (10, 5)])
def test_as_many_wait_for_their_partners_as_the_queue_is_long(
    bench: Callable[..., Bench], size: int, sets: int
) -> None:
    one = bench(**{"sync.queue_size": size})
    for name in TEMPORAL:
        for frame in range(5):
            one.send(name, 100.0 * frame)
    assert one.counts.sets == sets


@pytest.mark.parametrize(("jump_back", "jumps"), [(5.0, 0), (0.2, 1)])
def test_time_may_go_back_as_far_as_the_parameter_says(
    bench: Callable[..., Bench], jump_back: float, jumps: int
) -> None:
    one = bench(**{"sync.jump_back": jump_back})
    for when in (0, 1000, 2000, 1100):
        for name in TEMPORAL:
            one.send(name, when)
    assert one.counts.bad_input.get("time_jump", 0) == jumps
    assert one.counts.sets == 3 + jumps
    assert one.counts.dropped.get("out_of_order", 0) == 1 - jumps


def test_a_burst_waits_for_an_executor_that_is_busy(bench: Callable[..., Bench]) -> None:
    """A decoder, or a parameter service, may keep it for some frames."""
    one = bench()
    stamps = [100.0 * frame for frame in range(5)]
    for name in TEMPORAL:
        one.publish(name, *stamps)
    one.spin_until(lambda: one.counts.sets == 5)


def test_compressed_images_for_a_node_that_takes_raw_ones_are_named(
    bench: Callable[..., Bench],
) -> None:
    one = bench()
    one._source.destroy_publisher(one._publishers["image"])
    assert "image_transport" not in one.node._reception.silence(one.counts, 0.0)
    one._source.create_publisher(CompressedImage, "image/compressed", 1)
    one.spin_until(lambda: one.node.count_publishers("image/compressed") > 0)
    said = one.node._reception.silence(one.counts, 0.0)
    assert "/image/compressed is published: set image_transport to compressed" in said


@pytest.mark.parametrize(
    ("asked", "published", "says"),
    [
        (("image", "/c/image", Image), ("/c/image/compressed", CompressedImage), "to compressed"),
        (("image", "/c/image/compressed", CompressedImage), ("/c/image", Image), "to raw"),
        (("image", "/c/image", Image), ("/c/image/compressed", Image), ""),
        (("image", "/c/image", Image), ("/c/image", Image), ""),
        (("camera_info", "/c/info", CameraInfo), ("/c/info/compressed", CompressedImage), ""),
    ],
)
def test_the_transport_that_is_published(asked: Any, published: Any, says: str) -> None:
    topic, kind = published
    types = {topic: [f"sensor_msgs/msg/{kind.__name__}"]}
    said = other_transport(*asked, lambda name: types.get(name, []))
    assert (f"set image_transport {says}" in said) if says else said == ""


def test_a_latched_calibration_of_before_is_asked_for(bench: Callable[..., Bench]) -> None:
    """Published once, by a driver that keeps it, before the node came; no frame is lost."""
    latched = QoSProfile(
        depth=1,
        reliability=QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
    )
    one = bench(latched=latched, **{"publish.diagnostics_period": 0.1})
    one.spin_until(lambda: one.counts.received.get("/camera_info", 0) == 1)
    one.send("image", 1000, 1100, 1200, 1300)
    assert one.counts.sets == 4
    assert one.node._reception.calibrations == {"camera_info": "the last one"}


def test_a_calibration_from_a_file_needs_no_messages(
    bench: Callable[..., Bench], tmp_path: Path
) -> None:
    k = ", ".join(str(value) for value in CAMERA.k.ravel())
    path = tmp_path / "camera.yaml"
    path.write_text(f"width: {SIZE[0]}\nheight: {SIZE[1]}\nk: [{k}]\n")
    one = bench(calibration=str(path), only=("image",), run="always")
    assert one.node.count_subscribers("/camera_info") == 0
    one.send("image", 0, 100, 200)
    assert one.counts.sets == 3
    one.spin_until(lambda: one.counts.processed + sum(one.counts.dropped.values()) == 3)
    assert one.counts.bad_input == {}
    assert one.node._reception.calibrations == {"camera_info": str(path)}


def test_a_calibration_that_cannot_be_read_stops_configure(
    bench: Callable[..., Bench], tmp_path: Path
) -> None:
    one = bench(calibration=str(tmp_path / "nowhere.yaml"), only=())
    assert one.node.state == "unconfigured"
    assert f"{tmp_path}/nowhere.yaml: there is no such file" in one.node._failure


@pytest.mark.parametrize(("follows", "superseded"), [(False, 2), (True, 1)])
def test_one_set_waits_for_the_work_and_two_where_points_are_followed(
    bench: Callable[..., Bench], follows: bool, superseded: int
) -> None:
    pipeline = HeldPipeline(follows)
    one = bench(pipeline=pipeline, run="always")
    one.send("camera_info", 0)
    one.send("image", 0)
    one.spin_until(pipeline.begun.is_set)
    for when in (33, 66, 100):
        one.send("camera_info", when)
        one.send("image", when)
    one.spin_until(lambda: one.counts.sets == 4)
    assert one.counts.dropped == {"superseded": superseded}
    pipeline.released.set()
    one.spin_until(lambda: one.counts.processed == 4 - superseded)


def test_what_a_configured_node_holds_is_not_looked_through_again(
    bench: Callable[..., Bench],
) -> None:
    """Garbage collection of all of it holds the frames up."""
    one = bench()
    assert gc.get_freeze_count() > 0
    one.node.trigger_deactivate()
    one.node.trigger_cleanup()
    assert gc.get_freeze_count() == 0
