"""Stand-ins for `message_filters`: same names and signatures, only what the node uses.

`message_filters` has no wheel; where a distribution brings it, the node uses the original instead.
The guards against what the original gets wrong are in `pairing.py` and hold for both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from msga_ros.stream.message_set import stamp_ns
from msga_ros.stream.message_types import Stamped


class SimpleFilter:
    """Hands messages on to the callbacks that were registered."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., None], tuple[object, ...]]] = {}

    def registerCallback(self, cb: Callable[..., None], *args: object) -> int:
        """Call `cb(*messages, *args)` for everything signalled; a handle."""
        handle = len(self.callbacks)
        self.callbacks[handle] = (cb, args)
        return handle

    def signalMessage(self, *msg: Stamped) -> None:
        """Hand `msg` to all callbacks."""
        for callback, args in list(self.callbacks.values()):
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """A subscription as the head of a chain of filters."""

    def __init__(
        self, node: Any, msg_type: Any, topic: str, qos_profile: Any = 10, **kwargs: object
    ) -> None:
        super().__init__()
        self.node = node
        self.topic = topic
        self.sub = node.create_subscription(
            msg_type, topic, self.signalMessage, qos_profile, **kwargs
        )

    def getTopic(self) -> str:
        """The topic as it was given."""
        return self.topic


class _Synchronizer(SimpleFilter):
    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.queues: list[dict[int, Stamped]] = [{} for _ in fs]
        for index, one in enumerate(fs):
            one.registerCallback(self._add, index)

    def _add(self, msg: Stamped, index: int) -> None:
        stamp = stamp_ns(msg)
        with self.lock:
            queue = self.queues[index]
            queue[stamp] = msg
            while len(queue) > self.queue_size:
                del queue[min(queue)]
            stamps = self._match(index, stamp) if stamp in queue else None
            if stamps is None:
                return
            complete = [queue.pop(one) for queue, one in zip(self.queues, stamps, strict=True)]
        self.signalMessage(*complete)

    def _match(self, index: int, stamp: int) -> list[int] | None:
        raise NotImplementedError


class TimeSynchronizer(_Synchronizer):
    """Signals the messages of all inputs that carry exactly the same stamp."""

    def _match(self, index: int, stamp: int) -> list[int] | None:
        if all(stamp in queue for queue in self.queues):
            return [stamp] * len(self.queues)
        return None


class ApproximateTimeSynchronizer(_Synchronizer):
    """Signals one message of each input whose stamps lie within `slop` seconds of each other.

    Of all sets that the newest arrival completes it takes the one with the smallest spread, the
    earliest among equals. `slop` is inclusive.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int, slop: float) -> None:
        self.slop_ns = round(slop * 1e9)
        super().__init__(fs, queue_size)

    def _match(self, index: int, stamp: int) -> list[int] | None:
        best: tuple[int, list[int]] | None = None
        # The earliest stamp of the best set is one of these; with it fixed, the nearest message
        # above it is the best choice in every other queue.
        earliest = {one for queue in self.queues for one in queue if stamp - self.slop_ns <= one}
        for low in sorted(one for one in earliest if one <= stamp):
            chosen = self._nearest_from(low, index, stamp)
            if chosen is not None:
                spread = max(chosen) - low
                if spread <= self.slop_ns and (best is None or spread < best[0]):
                    best = (spread, chosen)
        return None if best is None else best[1]

    def _nearest_from(self, low: int, index: int, stamp: int) -> list[int] | None:
        chosen = []
        for number, queue in enumerate(self.queues):
            later = [stamp] if number == index else [one for one in queue if one >= low]
            if not later:
                return None
            chosen.append(min(later))
        return chosen
