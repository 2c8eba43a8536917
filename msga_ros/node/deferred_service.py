"""A service whose answer is sent when it is there, from whatever thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from msga_ros.node.qos import service_qos


class DeferredService:
    """Calls `accept(request, reply)` in the executor thread; `reply(response)` answers, once.

    rclpy sends what a callback returns as soon as it returns. A coroutine would be asked again and
    again by the executor until it is done, which takes a whole core. So the callback returns the
    request, and where rclpy would send it, we keep the header that the answer needs.
    """

    def __init__(
        self, node: Any, kind: Any, name: str, accept: Callable[[Any, Callable[[Any], None]], None]
    ) -> None:
        self._accept = accept
        self._service = node.create_service(kind, name, _the_request, qos_profile=service_qos())
        self._send = self._service.send_response
        self._service.send_response = self._on_request

    def _on_request(self, request: Any, header: Any) -> None:
        self._accept(request, partial(self._reply, header))

    def _reply(self, header: Any, response: Any) -> None:
        self._send(response, header)


def _the_request(request: Any, response: Any) -> Any:
    return request
