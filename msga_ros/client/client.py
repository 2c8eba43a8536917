"""`MsgaClient`: ask the running node about two views, from any thread."""

from __future__ import annotations

import itertools
import os
import threading
import time
from contextlib import suppress
from types import TracebackType

import rclpy
from numpy.typing import ArrayLike
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from msga_ros.client.errors import ClientError, RequestRefused, RequestTimeout
from msga_ros.client.messages import (
    Image,
    feature_pair,
    image_pair,
    matches_message,
    result_of,
)
from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.msg import RequestStatus
from msga_ros.node.qos import service_qos
from msga_ros.srv import FilterMatches, RelateFeatures, RelateImages
from msga_ros.two_view.result import TwoViewResult

_SERVICES = {
    "relate_images": RelateImages,
    "relate_features": RelateFeatures,
    "filter_matches": FilterMatches,
}
_POLL = 0.02  # seconds between two looks for the service
_GRACE = 0.5  # seconds that an answer may take to arrive, beyond the time limit of the request
_CODES = {
    getattr(RequestStatus, name): name
    for name in ("BAD_INPUT", "NOT_ACTIVE", "QUEUE_FULL", "DEADLINE_PASSED", "FAILED")
}
_numbers = itertools.count()


class MsgaClient:
    """The services of the node `name`, as blocking calls with the arguments of the library.

    It has a node, an executor and a thread of its own, so that it can be used in a script, beside
    a node that spins, and in a callback of one: it spins by itself. `node`: take the context
    of this one; left out, a context of its own where none is there yet. Threads may share a client.

    Every call raises `RequestRefused` where the node says no, `RequestTimeout` after `timeout` s,
    and `ClientError` once the client is closed. Poses are `x1 = R x0 + t`, of unit length.
    """

    def __init__(
        self, node: Node | None = None, name: str = "/msga", timeout: float = 10.0
    ) -> None:
        self._timeout = timeout
        self._own_context: Context | None = None
        context = node.context if node is not None else rclpy.get_default_context()
        if not context.ok():
            context = self._own_context = Context()
            rclpy.init(context=context)
        number = next(_numbers)
        self._node = Node(
            f"msga_client_{os.getpid()}_{number}",
            context=context,
            use_global_arguments=False,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._name = name
        self._clients = {
            service: self._node.create_client(
                kind, f"{name.rstrip('/')}/{service}", qos_profile=service_qos()
            )
            for service, kind in _SERVICES.items()
        }
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self._node)
        self._closed = False
        self._thread = threading.Thread(target=self._spin, name="msga_client", daemon=True)
        self._thread.start()

    def __enter__(self) -> MsgaClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread and take the node down. A call that waits ends with its timeout."""
        if self._closed:
            return
        self._closed = True
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        if self._own_context is not None:
            self._own_context.try_shutdown()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the node is there. Raises `RequestTimeout`."""
        limit = self._timeout if timeout is None else timeout
        for service in _SERVICES:
            self._wait_for(service, time.monotonic() + limit, limit)

    def relate_images(
        self,
        image0: Image,
        image1: Image,
        camera0: Camera,
        camera1: Camera,
        timeout: float | None = None,
    ) -> TwoViewResult:
        """Relate two images: (H, W) or (H, W, 3) BGR, uint8 or uint16; or JPEG, PNG as bytes."""
        pair = image_pair(image0, image1, camera0, camera1)
        return self._ask("relate_images", RelateImages.Request(pair=pair), timeout)

    def relate_features(
        self,
        features0: Features,
        features1: Features,
        camera0: Camera,
        camera1: Camera,
        timeout: float | None = None,
    ) -> TwoViewResult:
        """Match and relate features of one's own front end; `features_from_arrays` makes them."""
        pair = feature_pair(features0, features1, camera0, camera1)
        return self._ask("relate_features", RelateFeatures.Request(pair=pair), timeout)

    def relate_matches(
        self,
        keypoints0: ArrayLike,
        keypoints1: ArrayLike,
        camera0: Camera,
        camera1: Camera,
        evidence: ArrayLike | None = None,
        confidence: ArrayLike | None = None,
        timeout: float | None = None,
    ) -> TwoViewResult:
        """Judge finished matches; arguments as of `TwoViewPipeline.relate_matches`."""
        matches = matches_message(keypoints0, keypoints1, camera0, camera1, evidence, confidence)
        return self._ask("filter_matches", FilterMatches.Request(matches=matches), timeout)

    def _ask(
        self,
        service: str,
        request: RelateImages.Request | RelateFeatures.Request | FilterMatches.Request,
        timeout: float | None,
    ) -> TwoViewResult:
        limit = self._timeout if timeout is None else timeout
        started = time.monotonic()
        client = self._wait_for(service, started + limit, limit)
        # The node drops the request once its caller has given up.
        request.timeout = max(started + limit - time.monotonic(), 1e-3)
        future, done = client.call_async(request), threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(request.timeout + _GRACE):
            client.remove_pending_request(future)
            raise RequestTimeout(f"{client.srv_name} has not answered in {limit:g} s")
        response = future.result()
        if not response.success:
            code = _CODES.get(response.status.code, str(response.status.code))
            if code == "DEADLINE_PASSED":
                raise RequestTimeout(f"{client.srv_name}: {response.message}")
            raise RequestRefused(code, response.status.kind, response.message)
        return result_of(response, 1e3 * (time.monotonic() - started))

    def _wait_for(self, service: str, end: float, limit: float) -> Client:
        """The client of a service that is there."""
        client = self._clients[service]
        while True:
            if self._closed:
                raise ClientError("the client is closed")
            if client.service_is_ready():
                return client
            if time.monotonic() > end:
                raise RequestTimeout(f"{client.srv_name} was not there in {limit:g} s")
            time.sleep(_POLL)

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):  # the context has ended
            self._executor.spin()
