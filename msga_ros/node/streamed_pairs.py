"""`~/features/in` and `~/matches/in`: pairs of views that another program streams."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription

from msga_ros.msg import FeaturePair, Matches
from msga_ros.node.qos import input_events, overrides, sensor_qos
from msga_ros.node.reporting import Reporter
from msga_ros.stream.processor import Outcome
from msga_ros.stream.relations import Relations
from msga_ros.stream.request_counts import RequestCounts
from msga_ros.stream.requests import Answer, Code, Request, Steps
from msga_ros.stream.settings import Settings

_SUPERSEDED: Answer[Outcome] = Answer(Code.QUEUE_FULL, "a newer message has come", "superseded")
_IDLE: Answer[Outcome] = Answer(Code.NOT_ACTIVE, "no output has a subscriber", "idle")
# Topic, parameter that takes it, type, and how a message is worked.
_TOPICS: tuple[tuple[str, str, type, Callable[[Relations, Any, Settings], Steps]], ...] = (
    ("features/in", "requests.features_in", FeaturePair, Relations.features),
    ("matches/in", "requests.matches_in", Matches, Relations.matches),
)


def streams_pairs(settings: Settings) -> bool:
    """Whether one of the topics is taken."""
    return any(settings[parameter] for _, parameter, _, _ in _TOPICS)


class StreamedPairs:
    """The subscriptions, while the node is active. Of each topic the newest message wins.

    `put(request, stream)` hands one to the worker; `wanted()`: whether an output has a subscriber;
    `publish(outcome)` is called in the worker's thread.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: Callable[[], Settings],
        relations: Relations,
        put: Callable[[Request[Outcome], str], None],
        wanted: Callable[[], bool],
        publish: Callable[[Outcome], None],
        counts: RequestCounts,
        reporter: Reporter,
    ) -> None:
        self._node = node
        self._settings = settings
        self._relations = relations
        self._put = put
        self._wanted = wanted
        self._publish = publish
        self._counts = counts
        self._reporter = reporter
        self._subscriptions: list[Subscription] = []

    def start(self) -> None:
        """Subscribe to the topics that the parameters name. Raises what rclpy raises."""
        for name, parameter, kind, work in _TOPICS:
            if not self._settings()[parameter]:
                continue
            topic = self._node.resolve_topic_name(f"~/{name}")
            complain = partial(self._reporter.complain, "incompatible_qos", topic)
            self._subscriptions.append(
                self._node.create_subscription(
                    kind,
                    topic,
                    self._reporter.guarded(topic, partial(self._on_message, name, topic, work)),
                    sensor_qos(),
                    qos_overriding_options=overrides(),
                    event_callbacks=input_events(complain),
                )
            )

    def stop(self) -> None:
        """Unsubscribe."""
        for one in self._subscriptions:
            self._node.destroy_subscription(one)
        self._subscriptions = []

    def _on_message(
        self,
        name: str,
        topic: str,
        work: Callable[[Relations, Any, Settings], Steps],
        message: FeaturePair | Matches,
    ) -> None:
        arrived = time.monotonic()
        self._counts.asked(name)
        request = Request(
            lambda: work(self._relations, message, self._settings()),
            partial(self._answer, name, topic, arrived),
            math.inf,
            _SUPERSEDED,
            partial(self._reporter.exception, topic),
        )
        if self._wanted():
            self._put(request, name)
        else:
            request.refuse(_IDLE)

    def _answer(self, name: str, topic: str, arrived: float, answer: Answer[Outcome]) -> None:
        if answer.outcome is None:
            self._counts.refused(name, answer.label)
            if answer.code is Code.BAD_INPUT:
                self._reporter.complain(answer.kind, topic, answer.reason)
            return
        try:
            self._publish(answer.outcome)
            self._counts.answered(name, time.monotonic() - arrived)
        except Exception as error:
            self._reporter.exception(topic, error)
            self._counts.refused(name, "failed")
