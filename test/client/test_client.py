"""What the node answers is what the library says: real services over DDS, by `MsgaClient`."""
# ruff: noqa: E402

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

import rclpy
from client.conftest import PARAMETERS, Views
from msga_ros.msg import RequestStatus
from msga_ros.srv import FilterMatches
from node.harness import NodeProcess
from node.scenes import direction_error_deg, rotation_error_deg
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from msga_ros.client.client import MsgaClient
from msga_ros.client.errors import ClientError, RequestRefused, RequestTimeout
from msga_ros.frontend.from_arrays import features_from_arrays
from msga_ros.geometry.camera import Camera
from msga_ros.two_view.pipeline import TwoViewPipeline
from msga_ros.two_view.result import Status, TwoViewResult

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def context(run: NodeProcess) -> Iterator[Context]:
    made = Context()
    rclpy.init(context=made, domain_id=run.domain)
    yield made
    made.try_shutdown()


@pytest.fixture(scope="module")
def asking(context: Context) -> Iterator[Any]:
    """A node of somebody who asks."""
    node = rclpy.create_node("asking", context=context)
    yield node
    node.destroy_node()


@pytest.fixture(scope="module")
def client(asking: Any) -> Iterator[MsgaClient]:
    with MsgaClient(asking, timeout=60.0) as made:
        made.wait()
        yield made


@pytest.fixture(scope="module")
def pipeline(trained_weights: Path) -> TwoViewPipeline:
    """What the node has, in this process."""
    entries = {"frontend.max_keypoints": PARAMETERS["frontend.max_keypoints"]}
    return TwoViewPipeline.from_config(**entries, **{"network.weights": str(trained_weights)})


def check(found: TwoViewResult, expected: TwoViewResult, views: Views) -> None:
    """The same result, and a right one."""
    assert found.status is Status.OK
    np.testing.assert_array_equal(found.keypoints0, expected.keypoints0)
    np.testing.assert_array_equal(found.keypoints1, expected.keypoints1)
    np.testing.assert_array_equal(found.inlier, expected.inlier)
    np.testing.assert_allclose(found.inlier_probability, expected.inlier_probability, atol=1e-5)
    np.testing.assert_allclose(found.rotation, expected.rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, expected.translation, atol=1e-9)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-6, atol=1e-15)
    np.testing.assert_allclose(found.essential, expected.essential, atol=1e-9)
    assert found.median_parallax == pytest.approx(expected.median_parallax)
    assert found.counts == expected.counts
    assert rotation_error_deg(found.rotation, views.rotation) < 1.0
    assert direction_error_deg(found.translation, views.translation) < 3.0


def orb(views: Views) -> list[Any]:
    """Features of a front end that the node does not run."""
    made = []
    for image in views.images:
        keypoints, descriptors = cv2.ORB_create(900).detectAndCompute(image, None)
        made.append(
            features_from_arrays(
                [one.pt for one in keypoints],
                descriptors,
                (image.shape[1], image.shape[0]),
                angles=np.radians([one.angle for one in keypoints]),
                sizes=[one.size for one in keypoints],
            )
        )
    return made


def test_images(client: MsgaClient, pipeline: TwoViewPipeline, views: Views) -> None:
    expected = pipeline(*views.images, *views.cameras)
    check(client.relate_images(*views.images, *views.cameras), expected, views)
    packed = [cv2.imencode(".png", image)[1].tobytes() for image in views.images]
    check(client.relate_images(*packed, *views.cameras), expected, views)
    deep = [
        cv2.cvtColor(image, cv2.COLOR_GRAY2BGR).astype(np.uint16) << 6 for image in views.images
    ]
    expected = pipeline(*deep, *views.cameras)
    check(client.relate_images(*deep, *views.cameras), expected, views)
    backwards = client.relate_images(*views.images[::-1], *views.cameras[::-1])
    assert rotation_error_deg(backwards.rotation, views.rotation.T) < 1.0


def test_features_of_another_front_end(
    client: MsgaClient, pipeline: TwoViewPipeline, views: Views
) -> None:
    features = orb(views)
    found = client.relate_features(*features, *views.cameras)
    check(found, pipeline.relate_features(*features, *views.cameras), views)
    assert found.indices0 is not None and found.indices1 is not None
    for side, points, indices in (
        (0, found.keypoints0, found.indices0),
        (1, found.keypoints1, found.indices1),
    ):
        np.testing.assert_array_equal(features[side].keypoints[indices], points)


def test_finished_matches(client: MsgaClient, pipeline: TwoViewPipeline, views: Views) -> None:
    features = [pipeline.extract(image) for image in views.images]
    matches = pipeline._stages.frontend.match(*features)
    points = np.array(matches.keypoints0), np.array(matches.keypoints1)
    points[0][3] = np.nan  # a track that was lost
    for evidence in (matches.evidence, matches.evidence[:, :2], None):
        found = client.relate_matches(*points, *views.cameras, evidence)
        check(found, pipeline.relate_matches(*points, *views.cameras, evidence), views)
        assert found.inlier_probability[3] == 0 and not found.inlier[3]


def test_views_of_different_places_are_an_answer(client: MsgaClient, views: Views) -> None:
    noise = np.random.default_rng(0).integers(0, 256, views.images[0].shape, np.uint8)
    found = client.relate_images(views.images[0], noise, *views.cameras)
    assert found.status is Status.TOO_FEW_MATCHES and not found.inlier.any()
    assert np.isnan(found.rotation).all() and np.isnan(found.translation).all()
    assert np.isnan(found.covariance).all() and np.isnan(found.essential).all()
    none = client.relate_matches(np.empty((0, 2)), np.empty((0, 2)), *views.cameras)
    assert none.status is Status.TOO_FEW_MATCHES and len(none.inlier) == 0


def test_a_refusal_says_what_is_wrong(client: MsgaClient, views: Views) -> None:
    other = Camera.pinhole(500, 500, 320, 240, 640, 480)
    with pytest.raises(RequestRefused, match="camera_info says 640x480") as refused:
        client.relate_images(*views.images, views.cameras[0], other)
    assert (refused.value.code, refused.value.kind) == ("BAD_INPUT", "image_size")
    with pytest.raises(RequestRefused, match="breaks off"):
        client.relate_images(
            cv2.imencode(".jpg", views.images[0])[1].tobytes()[:999],
            views.images[1],
            *views.cameras,
        )


def test_in_a_callback_of_a_node_that_spins(
    client: MsgaClient, asking: Any, context: Context, views: Views
) -> None:
    """The executor of that node waits for us, so it cannot be the one that brings the answer."""
    points = np.random.default_rng(1).uniform(0, 100, (2, 30, 2))
    statuses: list[Status] = []

    def on_call(request: Any, response: Any) -> Any:
        statuses.append(client.relate_matches(*points, *views.cameras).status)
        response.success = True
        return response

    service = asking.create_service(Trigger, "~/check", on_call)
    caller = rclpy.create_node("caller", context=context)
    executors = [SingleThreadedExecutor(context=context) for _ in range(2)]
    executors[0].add_node(asking)
    executors[1].add_node(caller)
    spinner = threading.Thread(target=executors[0].spin)
    spinner.start()
    try:
        question = caller.create_client(Trigger, "/asking/check")
        assert question.wait_for_service(30.0)
        future = question.call_async(Trigger.Request())
        executors[1].spin_until_future_complete(future, 60.0)
        assert future.result() is not None and future.result().success
    finally:
        executors[0].shutdown()
        spinner.join()
        executors[1].shutdown()
        caller.destroy_node()
        asking.destroy_service(service)
    assert statuses == [Status.TOO_FEW_MATCHES]


def test_threads_share_a_client(client: MsgaClient, views: Views) -> None:
    """Each gets the answer to its own question."""
    rng = np.random.default_rng(2)
    questions = [rng.uniform(0, 100, (2, 20 + number, 2)) for number in range(12)]
    with ThreadPoolExecutor(4) as pool:  # fewer than may wait
        answers = list(pool.map(lambda one: client.relate_matches(*one, *views.cameras), questions))
    for question, answer in zip(questions, answers, strict=True):
        np.testing.assert_array_equal(answer.keypoints0, question[0].astype(np.float32))


def test_nobody_there(asking: Any, views: Views) -> None:
    points = np.zeros((4, 2))
    with MsgaClient(asking, name="/elsewhere", timeout=0.2) as lonely:
        with pytest.raises(RequestTimeout, match="/elsewhere/filter_matches was not there"):
            lonely.relate_matches(points, points, *views.cameras)
        with pytest.raises(RequestTimeout):
            lonely.wait()
    with pytest.raises(ClientError, match="closed"):
        lonely.relate_matches(points, points, *views.cameras)
    lonely.close()  # twice is once


def test_a_service_that_never_answers_is_a_timeout(asking: Any, views: Views) -> None:
    """It is there, and nothing spins it."""
    points = np.zeros((4, 2))
    service = asking.create_service(
        FilterMatches, "/stuck/filter_matches", lambda _, response: response
    )
    with MsgaClient(asking, name="/stuck", timeout=0.5) as client:
        client._wait_for("filter_matches", time.monotonic() + 60.0, 60.0)
        with pytest.raises(RequestTimeout, match=r"/stuck/filter_matches has not answered in 0\.5"):
            client.relate_matches(points, points, *views.cameras)
    asking.destroy_service(service)


def test_a_deadline_that_the_node_saw_pass_is_a_timeout_too(asking: Any, views: Views) -> None:
    def late(_: Any, response: Any) -> Any:
        response.status.code = RequestStatus.DEADLINE_PASSED
        response.message = "its time was over"
        return response

    points = np.zeros((4, 2))
    service = asking.create_service(FilterMatches, "/late/filter_matches", late)
    executor = SingleThreadedExecutor(context=asking.context)
    executor.add_node(asking)
    spinner = threading.Thread(target=executor.spin)
    spinner.start()
    try:
        with (
            MsgaClient(asking, name="/late", timeout=60.0) as client,
            pytest.raises(RequestTimeout, match="/late/filter_matches: its time was over"),
        ):
            client.relate_matches(points, points, *views.cameras)
    finally:
        executor.shutdown()
        spinner.join()
        asking.destroy_service(service)


def test_a_script_needs_no_context_of_its_own(
    run: NodeProcess, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(run.domain))
    points = np.zeros((4, 2))
    with MsgaClient(timeout=60.0) as client:
        answer = client.relate_matches(points, points, *views.cameras)
    assert answer.status is Status.TOO_FEW_MATCHES
    assert not rclpy.ok()
