"""Services in every state of the node, beside a stream; the node in this process, over DDS."""
# ruff: noqa: E402

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from msga_ros.msg import (
    CameraImage,
    Correspondences,
    FeaturePair,
    Features,
    ImagePair,
    Matches,
    RelativePose,
    RequestStatus,
)
from msga_ros.srv import FilterMatches, RelateFeatures, RelateImages
from node.harness import TEMPORAL, camera_info, domain_id, header
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from stream.fakes import CAMERA, SIZE, FakePipeline, make_result

from msga_ros.node.image_message import image_message
from msga_ros.node.node import MsgaNode
from msga_ros.node.outputs import Outputs
from msga_ros.node.qos import service_qos
from msga_ros.stream.model_loading import Model
from msga_ros.stream.request_counts import RequestSnapshot
from msga_ros.stream.requests import Code

pytestmark = pytest.mark.ros

START = 1_700_000_000_000_000_000
SERVICES = {
    "relate_images": RelateImages,
    "relate_features": RelateFeatures,
    "filter_matches": FilterMatches,
}
RELIABLE = {f"qos_overrides./{name}.subscription.reliability": "reliable" for name in TEMPORAL}


@dataclass
class SlowPipeline(FakePipeline):
    """Extracts when it is told to, or at once; its matches hold by halves."""

    device: str = "cpu"
    matching_device: str = "cpu"
    follows: bool = False
    device_problem: str = ""
    go: threading.Semaphore | None = None
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    order: list[int] = field(default_factory=list)

    def extract(self, image: np.ndarray) -> Any:
        self.begun.release()
        if self.go is not None:
            assert self.go.acquire(timeout=30)
        self.order.append(int(image[0, 0]))
        return super().extract(image)

    def relate_features(self, *views: Any) -> Any:
        return make_result(8, 6)

    def relate_matches(self, points0: Any, *rest: Any) -> Any:
        if len(points0) == 13:
            raise RuntimeError("thirteen")
        return make_result(len(points0), len(points0) // 2)

    def reconfigure(self, config: Any) -> None:
        """Nothing depends on it."""


class Bench:
    """A node, its inputs and somebody who asks it, spun by hand."""

    def __init__(self, context: Context, active: bool = True, **parameters: Any) -> None:
        self.pipeline = SlowPipeline()
        values = {"mode": "temporal", "autostart": False, **RELIABLE, **parameters}
        self.node = MsgaNode(
            load=lambda _: Model(self.pipeline, "none"),
            context=context,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        self.source = rclpy.create_node("source", context=context)
        self._executor = SingleThreadedExecutor(context=context)
        for node in (self.node, self.source):
            self._executor.add_node(node)
        if active:
            self.node.trigger_configure()
            self.node.trigger_activate()
        self.clients = {
            name: self.source.create_client(kind, f"/msga/{name}", qos_profile=service_qos())
            for name, kind in SERVICES.items()
        }
        for client in self.clients.values():
            self.spin_until(client.service_is_ready)
        self.inputs = {
            name: self.source.create_publisher(kind, name, QoSProfile(depth=20))
            for name, kind in zip(TEMPORAL, (Image, CameraInfo), strict=True)
        }
        self.diagnostics: list[DiagnosticArray] = []
        self.source.create_subscription(
            DiagnosticArray, "/diagnostics", self.diagnostics.append, 10
        )

    def ask(self, name: str, request: Any) -> Any:
        """The future answer."""
        return self.clients[name].call_async(request)

    def answer(self, name: str, request: Any) -> Any:
        return self.wait(self.ask(name, request))

    def wait(self, future: Any) -> Any:
        self.spin_until(future.done)
        return future.result()

    def frame(self, number: int) -> None:
        """Send a frame of this grey value and wait until the node has it."""
        before = self.node._statistics.snapshot().sets
        made = header(START + number * 1_000_000, "camera")
        self.inputs["image"].publish(image_message(np.full(SIZE[::-1], number, np.uint8), made))
        self.inputs["camera_info"].publish(camera_info(CAMERA.k, SIZE, made))
        self.spin_until(lambda: self.node._statistics.snapshot().sets > before)

    def counts(self, name: str) -> RequestSnapshot:
        nothing = RequestSnapshot(0, 0, {}, float("nan"))
        return self.node._request_counts.snapshot().get(name, nothing)

    def spin_until(self, done: Callable[[], Any], seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, done
            self._executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        if self.pipeline.go is not None:
            self.pipeline.go.release(1000)
        self.node.close()
        self._executor.shutdown()
        self.node.destroy_node()
        self.source.destroy_node()


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    context, made = Context(), []
    rclpy.init(context=context, domain_id=domain_id())  # no other node is to answer

    def make(**parameters: Any) -> Bench:
        made.append(Bench(context, **parameters))
        return made[-1]

    yield make
    for one in made:
        one.close()
    context.shutdown()


def images(first: int = 201, second: int = 202, **fields: Any) -> RelateImages.Request:
    def view(value: int) -> CameraImage:
        made = header(START + value, f"camera_{value}")
        pixels = np.full(SIZE[::-1], value, np.uint8)
        return CameraImage(
            image=image_message(pixels, made), camera_info=camera_info(CAMERA.k, SIZE, made)
        )

    pair = ImagePair(reference=view(first), current=view(second))
    return RelateImages.Request(pair=pair, **fields)


def matches(count: int = 10) -> Matches:
    points = np.arange(2.0 * count)
    return Matches(
        header=header(START + 2, "now"),
        reference_header=header(START + 1, "then"),
        camera_info=camera_info(CAMERA.k, SIZE, header(START, "now")),
        reference_camera_info=camera_info(CAMERA.k, SIZE, header(START, "then")),
        reference_points=points,
        points=points,
        track_ids=np.arange(count, dtype=np.uint64) + 1,
    )


def features(count: int = 10) -> Features:
    return Features(
        header=header(START, "camera"),
        camera_info=camera_info(CAMERA.k, SIZE, header(START, "camera")),
        keypoints=np.arange(2.0 * count),
        descriptors=np.arange(4.0 * count),
    )


def requests() -> dict[str, Any]:
    """One of each service."""
    pair = FeaturePair(reference=features(), current=features())
    return {
        "relate_images": images(),
        "relate_features": RelateFeatures.Request(pair=pair),
        "filter_matches": FilterMatches.Request(matches=matches()),
    }


def test_codes_are_those_of_the_message() -> None:
    assert {one.name: getattr(RequestStatus, one.name) for one in Code} == {
        one.name: int(one) for one in Code
    }


def test_an_idle_node_answers_and_stays_idle(bench: Callable[..., Bench]) -> None:
    one = bench()
    for name, request in requests().items():
        answer = one.answer(name, request)
        assert answer.success and answer.status.code == RequestStatus.ANSWERED
        assert answer.relative_pose.status == RelativePose.STATUS_OK
        assert answer.message.startswith("OK: ")
        assert one.counts(name).answered == 1
    assert list(answer.correspondences.track_ids) == [1, 2, 3, 4, 5, 0, 0, 0, 0, 0]
    assert answer.correspondences.header.frame_id == "now"
    assert answer.relative_pose.reference_header.frame_id == "then"
    one.frame(1)
    now = one.node._statistics.snapshot()
    assert (now.unwanted, now.processed, now.errors) == (1, 0, {})


def test_each_state_of_the_node_answers(bench: Callable[..., Bench]) -> None:
    one = bench(active=False)

    def refused(state: str) -> None:
        for name, request in requests().items():
            answer = one.answer(name, request)
            assert not answer.success and answer.status.code == RequestStatus.NOT_ACTIVE
            assert state in answer.message

    refused("unconfigured")
    one.node.trigger_configure()
    refused("inactive")
    one.node.trigger_activate()
    assert one.answer("filter_matches", requests()["filter_matches"]).success
    one.node.trigger_deactivate()
    refused("inactive")
    one.node.trigger_cleanup()
    refused("unconfigured")
    assert one.counts("relate_images").refused == {"not_active": 4}


def test_a_queue_that_is_full_and_a_deadline_that_has_passed(bench: Callable[..., Bench]) -> None:
    one = bench(**{"requests.queue_size": 2})
    one.pipeline.go = threading.Semaphore(0)
    in_work = one.ask("relate_images", images())
    one.spin_until(lambda: one.pipeline.begun.acquire(blocking=False))
    waiting = one.ask("relate_images", images(211, 212))
    one.spin_until(lambda: one.counts("relate_images").waiting == 2)
    late = one.ask("relate_images", images(221, 222, timeout=0.001))
    one.spin_until(lambda: one.counts("relate_images").waiting == 3)
    full = one.answer("filter_matches", requests()["filter_matches"])
    assert (full.success, full.status.code) == (False, RequestStatus.QUEUE_FULL)
    assert "2 requests wait" in full.message
    one.pipeline.go.release(100)
    assert one.wait(in_work).success and one.wait(waiting).success
    late = one.wait(late)
    assert (late.success, late.status.code) == (False, RequestStatus.DEADLINE_PASSED)
    assert one.pipeline.order == [201, 202, 211, 212]  # one after the other, and the late one not
    assert one.counts("relate_images").refused == {"deadline_passed": 1}
    assert one.counts("filter_matches").refused == {"queue_full": 1}
    one.node.set_parameters([Parameter("requests.timeout", value=0.01)])
    one.pipeline.go, one.pipeline.begun = threading.Semaphore(0), threading.Semaphore(0)
    in_work = one.ask("relate_images", images(timeout=60.0))
    one.spin_until(lambda: one.pipeline.begun.acquire(blocking=False))
    by_parameter = one.ask("filter_matches", requests()["filter_matches"])
    one.spin_until(lambda: one.counts("filter_matches").waiting == 1)
    time.sleep(0.02)
    one.pipeline.go.release(100)
    assert one.wait(by_parameter).status.code == RequestStatus.DEADLINE_PASSED


def test_what_waits_when_the_node_is_deactivated_is_told(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.pipeline.go = threading.Semaphore(0)
    futures = [one.ask("relate_images", images()) for _ in range(3)]
    one.spin_until(lambda: one.counts("relate_images").waiting == 3)
    one.spin_until(lambda: one.pipeline.begun.acquire(blocking=False))
    timer = threading.Timer(0.05, one.pipeline.go.release)
    timer.start()
    one.node.trigger_deactivate()  # lets the step in hand finish, and no other begin
    answers = [one.wait(future) for future in futures]
    assert {answer.status.code for answer in answers} == {RequestStatus.NOT_ACTIVE}
    assert all("deactivated" in answer.message for answer in answers)
    assert one.pipeline.order == [201]
    one.pipeline.go.release(100)
    one.node.trigger_activate()
    assert one.answer("relate_images", images()).success


def test_a_frame_goes_between_the_steps_and_is_not_disturbed(bench: Callable[..., Bench]) -> None:
    """Frames are related to each other as if nobody had asked; each waits for one step at most."""
    one = bench(run="always")
    one.pipeline.go = threading.Semaphore(1)
    one.frame(1)
    one.spin_until(lambda: one.pipeline.order == [1])
    one.pipeline.begun.acquire()
    answers = [one.ask("relate_images", images()), one.ask("relate_images", images(211, 212))]
    one.spin_until(lambda: one.counts("relate_images").waiting == 2)
    one.spin_until(lambda: one.pipeline.begun.acquire(blocking=False))  # 201 is being extracted
    for number, expected in ((2, [201, 2]), (3, [202, 3])):
        one.frame(number)
        one.pipeline.go.release(2)
        one.spin_until(lambda done=2 * number - 1: len(one.pipeline.order) >= done)
        assert one.pipeline.order[-2:] == expected
    one.pipeline.go.release(100)
    assert all(one.wait(answer).success for answer in answers)
    assert one.pipeline.order == [1, 201, 2, 202, 3, 211, 212]
    sizes = [len(views[0]) for views in one.pipeline.related]
    assert len(sizes) == 4  # two of the stream, two asked for
    now = one.node._statistics.snapshot()
    assert (now.processed, now.dropped, now.bad_input) == (3, {}, {})
    assert now.inliers == 80  # of the stream


def test_an_exception_that_nobody_foresaw_is_an_answer(bench: Callable[..., Bench]) -> None:
    one = bench()
    answer = one.answer("filter_matches", FilterMatches.Request(matches=matches(13)))
    assert (answer.success, answer.status.code) == (False, RequestStatus.FAILED)
    assert "RuntimeError: thirteen" in answer.message
    assert one.node._statistics.snapshot().errors == {"filter_matches": 1}
    assert one.answer("filter_matches", FilterMatches.Request(matches=matches(12))).success


def test_parameters_in_force_are_used(bench: Callable[..., Bench]) -> None:
    one = bench()
    request = FilterMatches.Request(matches=matches(20))
    assert one.answer("filter_matches", request).success
    one.node.set_parameters([Parameter("requests.max_points", value=19)])
    answer = one.answer("filter_matches", request)
    assert (answer.status.code, answer.status.kind) == (RequestStatus.BAD_INPUT, "oversized")
    # In force when its turn comes, not when it was asked.
    one.pipeline.go = threading.Semaphore(0)
    busy = one.ask("relate_images", images())
    one.spin_until(lambda: one.pipeline.begun.acquire(blocking=False))
    waiting = one.ask("filter_matches", request)
    one.spin_until(lambda: one.counts("filter_matches").waiting == 1)
    one.node.set_parameters([Parameter("requests.max_points", value=20)])
    one.pipeline.go.release(100)
    assert one.wait(busy).success and one.wait(waiting).success
    for timeout in (-1.0, float("nan")):
        answer = one.answer("filter_matches", FilterMatches.Request(timeout=timeout))
        assert (answer.status.code, answer.status.kind) == (RequestStatus.BAD_INPUT, "timeout")
    one.spin_until(
        lambda: any(
            status.name == "msga: requests"
            and {(value.key, value.value) for value in status.values}
            >= {
                ("asked filter_matches", "5"),
                ("answered filter_matches", "2"),
                ("refused filter_matches oversized", "1"),
                ("refused filter_matches timeout", "2"),
            }
            for status in (one.diagnostics[-1].status if one.diagnostics else [])
        )
    )


def test_streamed_pairs_go_to_the_outputs(bench: Callable[..., Bench]) -> None:
    one = bench(**{"requests.matches_in": True, "requests.features_in": True})
    streams = {
        kind: one.source.create_publisher(kind, f"/msga/{name}", 10)
        for kind, name in ((Matches, "matches/in"), (FeaturePair, "features/in"))
    }
    for publisher in streams.values():
        one.spin_until(lambda publisher=publisher: publisher.get_subscription_count() > 0)
    streams[Matches].publish(matches())
    one.spin_until(lambda: one.counts("matches/in").refused == {"idle": 1})
    found: list[Any] = []
    for kind, name in ((Correspondences, "correspondences"), (RelativePose, "relative_pose")):
        one.source.create_subscription(kind, f"/msga/{name}", found.append, 10)
    one.spin_until(lambda: one.node._resources.wanted)
    streams[Matches].publish(matches())
    one.spin_until(lambda: len(found) == 2)
    pose, pairs = sorted(found, key=lambda message: isinstance(message, Correspondences))
    assert pose.header.frame_id == "now" and pose.inliers == 5
    assert list(pairs.track_ids) == [1, 2, 3, 4, 5, 0, 0, 0, 0, 0]
    streams[FeaturePair].publish(FeaturePair(reference=features(), current=features()))
    one.spin_until(lambda: len(found) == 4)
    streams[Matches].publish(Matches())
    one.spin_until(lambda: one.counts("matches/in").refused.get("camera_info") == 1)
    now = one.node._statistics.snapshot()
    assert now.bad_input == {"camera_info": 1} and "/msga/matches/in" in now.last_bad_input[1]
    assert (now.processed, now.sets) == (0, 0)
    assert one.counts("features/in").answered == 1
    assert one.node._silence(now) == ""
    one.node.trigger_deactivate()
    for publisher in streams.values():
        one.spin_until(lambda publisher=publisher: publisher.get_subscription_count() == 0)


def test_a_result_that_cannot_be_published_is_counted(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the publisher is gone")

    monkeypatch.setattr(Outputs, "publish_pair", broken)
    one = bench(**{"requests.matches_in": True, "run": "always"})
    publisher = one.source.create_publisher(Matches, "/msga/matches/in", 10)
    one.spin_until(lambda: publisher.get_subscription_count() > 0)
    publisher.publish(matches())
    one.spin_until(lambda: one.counts("matches/in").refused == {"failed": 1})
    assert one.node._statistics.snapshot().errors == {"/msga/matches/in": 1}
    assert one.counts("matches/in").answered == 0


def test_of_streamed_pairs_the_newest_wins(bench: Callable[..., Bench]) -> None:
    one = bench(**{"requests.matches_in": True, "run": "always"})
    one.pipeline.go = threading.Semaphore(0)
    busy = one.ask("relate_images", images())
    one.spin_until(lambda: one.pipeline.begun.acquire(blocking=False))
    publisher = one.source.create_publisher(Matches, "/msga/matches/in", 10)
    one.spin_until(lambda: publisher.get_subscription_count() > 0)
    for number in range(3):
        publisher.publish(matches(10 + number))
        one.spin_until(lambda number=number: one.counts("matches/in").asked == number + 1)
    one.pipeline.go.release(100)
    assert one.wait(busy).success
    one.spin_until(lambda: one.counts("matches/in").answered == 1)
    assert one.counts("matches/in").refused == {"superseded": 2}


def test_off_by_default_at_no_cost(bench: Callable[..., Bench]) -> None:
    one = bench()
    topics = {name for name, _ in one.source.get_topic_names_and_types()}
    assert not topics & {"/msga/matches/in", "/msga/features/in"}
