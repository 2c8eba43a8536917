"""A service whose answer is sent when it is there, from whatever thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.lifecycle import LifecycleNode

from msga_ros.node.qos import service_qos


class DeferredService:
    """Calls `accept(request, reply)` in the executor thread; `reply(response)` answers, once.

    rclpy sends what a callback returns as soon as it returns. A coroutine would be asked again and
    again by the executor until it is done, which takes a whole core. So the callback returns the
    request, and where rclpy would send it, we keep the header that the answer needs.
    """

    def __init__(
        self,
        node: LifecycleNode,
        kind: type,
        name: str,
        accept: Callable[[Any, Callable[[object], None]], None],
    ) -> None:
        """`kind`: type of the service, `name`: as for `create_service`."""
        self._accept = accept
        service = node.create_service(kind, name, _the_request, qos_profile=service_qos())
        self._send = service.send_response
        service.send_response = self._on_request  # type: ignore[method-assign, assignment]

    def _on_request(self, request: object, header: object) -> None:
        self._accept(request, partial(self._reply, header))

    def _reply(self, header: object, response: object) -> None:
        self._send(response, header)


def _the_request(request: Any, _: object) -> Any:
    return request
