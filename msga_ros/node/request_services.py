"""`~/relate_images`, `~/relate_features`, `~/filter_matches`: from the call to the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from msga_ros.node.deferred_service import DeferredService
from msga_ros.node.reporting import Reporter
from msga_ros.node.request_messages import response_message
from msga_ros.srv import FilterMatches, RelateFeatures, RelateImages
from msga_ros.stream.errors import BadInput
from msga_ros.stream.relations import Relations
from msga_ros.stream.request_counts import RequestCounts
from msga_ros.stream.requests import Answer, Code, Request, Steps, time_limit
from msga_ros.stream.settings import Settings

if TYPE_CHECKING:
    from msga_ros.node.node import MsgaNode

# Name of the service, its type, and how it is worked.
_SERVICES: tuple[tuple[str, type, Callable[[Relations, Any, Settings], Steps]], ...] = (
    ("relate_images", RelateImages, lambda to, asked, now: to.images(asked.pair, now)),
    ("relate_features", RelateFeatures, lambda to, asked, now: to.features(asked.pair, now)),
    ("filter_matches", FilterMatches, lambda to, asked, now: to.matches(asked.matches, now)),
)
_DEACTIVATED = Answer(Code.NOT_ACTIVE, "the node was deactivated before it was worked")


class RequestQueue(Protocol):
    """Where requests wait and are processed: `ConfiguredResources`."""

    @property
    def relations(self) -> Relations:
        """What does the work."""

    def queue(self, request: Request) -> bool:
        """Line `request` up for the worker; False where it is full."""


class RequestServices:
    """The services, which answer in every state of the node.

    `requests()`: where they line up, None while the node is not active. `settings()`: the
    parameters in force.
    """

    def __init__(
        self,
        node: MsgaNode,
        requests: Callable[[], RequestQueue | None],
        settings: Callable[[], Settings],
        counts: RequestCounts,
        reporter: Reporter,
    ) -> None:
        self._node = node
        self._requests = requests
        self._settings = settings
        self._counts = counts
        self._reporter = reporter
        for name, kind, work in _SERVICES:
            DeferredService(node, kind, f"~/{name}", partial(self._accept, name, kind, work))

    def _accept(
        self,
        name: str,
        kind: type,
        work: Callable[[Relations, Any, Settings], Steps],
        asked: Any,
        reply: Callable[[object], None],
    ) -> None:
        """In the executor thread: line the request up, or answer at once why not."""
        arrived = time.monotonic()
        self._counts.asked(name)
        answer = partial(self._answer, name, kind, reply, arrived)
        requests, settings = self._requests(), self._settings()
        if requests is None:
            answer(Answer(Code.NOT_ACTIVE, f"the node is {self._node.state}, not active"))
            return
        relations = requests.relations
        try:
            limit = time_limit(asked.timeout, settings["requests.timeout"])
        except BadInput as error:
            answer(Answer(Code.BAD_INPUT, str(error), error.kind))
            return
        request = Request(
            lambda: work(relations, asked, self._settings()),
            answer,
            arrived + limit,
            _DEACTIVATED,
            partial(self._reporter.exception, name),
        )
        if not requests.queue(request):
            most = settings["requests.queue_size"]
            request.refuse(Answer(Code.QUEUE_FULL, f"{most} requests wait already"))

    def _answer(
        self, name: str, kind: type, reply: Callable[[object], None], arrived: float, answer: Answer
    ) -> None:
        """In the thread that knows the answer."""
        try:
            response = response_message(kind, answer)
        except Exception as error:
            self._reporter.exception(name, error)
            answer = Answer(Code.FAILED, f"{type(error).__name__}: {error}")
            response = response_message(kind, answer)
        if answer.outcome is None:
            self._counts.refused(name, answer.label)
        else:
            self._counts.answered(name, time.monotonic() - arrived)
        try:
            reply(response)
        except Exception as error:  # whoever asked has gone, or the node is on its way out
            self._reporter.exception(name, error)
