"""Services whose work lines up for the worker: from the call to the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from msga_ros.node.deferred_service import DeferredService
from msga_ros.node.reporting import Reporter
from msga_ros.node.request_messages import response_message
from msga_ros.srv import FilterMatches, RelateFeatures, RelateImages
from msga_ros.stream.errors import BadInput
from msga_ros.stream.node_settings import NodeSettings
from msga_ros.stream.relations import Relations
from msga_ros.stream.request_counts import RequestCounts
from msga_ros.stream.requests import Answer, Code, Request, time_limit
from msga_ros.stream.settings import Settings

if TYPE_CHECKING:
    from msga_ros.node.managed_node import ManagedNode

_DEACTIVATED = "the node was deactivated before it was worked"

Of = TypeVar("Of", bound=NodeSettings)
Held = TypeVar("Held", bound="RequestQueue", contravariant=True)


class RequestQueue(Protocol):
    """Where requests wait and are processed: what a configured node holds."""

    def queue(self, request: Request[Any]) -> bool:
        """Line `request` up for the worker; False where it is full."""


@dataclass(frozen=True)
class Service(Generic[Held, Of]):
    """The service `~/NAME` of the type `kind`.

    `work(held, request, settings)` makes the steps of the work when its turn comes; what they
    return becomes a response by `respond(kind, answer)`, as does a refusal.
    """

    name: str
    kind: type
    work: Callable[[Held, Any, Of], Generator[None, None, Any]]
    respond: Callable[[Any, Answer[Any]], Any]


class _Relating(RequestQueue, Protocol):
    """`ConfiguredResources` of the node `msga`."""

    @property
    def relations(self) -> Relations:
        """What does the work."""


def _relate_images(held: _Relating, asked: Any, settings: Settings) -> Generator[None, None, Any]:
    return held.relations.images(asked.pair, settings)


def _relate_features(held: _Relating, asked: Any, settings: Settings) -> Generator[None, None, Any]:
    return held.relations.features(asked.pair, settings)


def _filter_matches(held: _Relating, asked: Any, settings: Settings) -> Generator[None, None, Any]:
    return held.relations.matches(asked.matches, settings)


SERVICES = (
    Service("relate_images", RelateImages, _relate_images, response_message),
    Service("relate_features", RelateFeatures, _relate_features, response_message),
    Service("filter_matches", FilterMatches, _filter_matches, response_message),
)


class RequestServices(Generic[Held, Of]):
    """The services, which answer in every state of the node.

    `requests()`: where they line up, None while the node is not active. `settings()`: the
    parameters in force, `requests.timeout` and `requests.queue_size` among them.
    """

    def __init__(
        self,
        node: ManagedNode[Any, Any],
        services: Sequence[Service[Held, Of]],
        requests: Callable[[], Held | None],
        settings: Callable[[], Of],
        counts: RequestCounts,
        reporter: Reporter,
    ) -> None:
        self._node = node
        self._requests = requests
        self._settings = settings
        self._counts = counts
        self._reporter = reporter
        for one in services:
            DeferredService(node, one.kind, f"~/{one.name}", partial(self._accept, one))

    def _accept(
        self, service: Service[Held, Of], asked: Any, reply: Callable[[object], None]
    ) -> None:
        """In the executor thread: line the request up, or answer at once why not."""
        arrived = time.monotonic()
        self._counts.asked(service.name)
        answer = partial(self._answer, service, reply, arrived)
        requests, settings = self._requests(), self._settings()
        if requests is None:
            answer(Answer(Code.NOT_ACTIVE, f"the node is {self._node.state}, not active"))
            return
        held = requests
        try:
            limit = time_limit(asked.timeout, settings["requests.timeout"])
        except BadInput as error:
            answer(Answer(Code.BAD_INPUT, str(error), error.kind))
            return
        request = Request(
            lambda: service.work(held, asked, self._settings()),
            answer,
            arrived + limit,
            Answer(Code.NOT_ACTIVE, _DEACTIVATED),
            partial(self._reporter.exception, service.name),
        )
        if not requests.queue(request):
            most = settings["requests.queue_size"]
            request.refuse(Answer(Code.QUEUE_FULL, f"{most} requests wait already"))

    def _answer(
        self,
        service: Service[Held, Of],
        reply: Callable[[object], None],
        arrived: float,
        answer: Answer[Any],
    ) -> None:
        """In the thread that knows the answer."""
        name = service.name
        try:
            response = service.respond(service.kind, answer)
        except Exception as error:
            self._reporter.exception(name, error)
            answer = Answer(Code.FAILED, f"{type(error).__name__}: {error}")
            response = service.respond(service.kind, answer)
        if answer.outcome is None:
            self._counts.refused(name, answer.label)
        else:
            self._counts.answered(name, time.monotonic() - arrived)
        try:
            reply(response)
        except Exception as error:  # whoever asked has gone, or the node is on its way out
            self._reporter.exception(name, error)
