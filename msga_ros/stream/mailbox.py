"""A mailbox with few places a stream, where the newest items win, and a bounded queue beside it."""

from __future__ import annotations

import threading
from collections import deque
from itertools import chain
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Hands items from the executor thread to the worker thread.

    Items of a stream: `put` never blocks; of more than `depth` that were not taken yet the oldest
    is replaced and returned to be counted. Requests: `queue` keeps at most `queue_size` of them, in
    order. `take` gives an item of a stream and a request in turn where both wait, so that neither
    waits for more than one of the other.
    """

    def __init__(self, queue_size: int = 0, depth: int = 1) -> None:
        self._condition = threading.Condition()
        self._newest: dict[str, deque[Item]] = {}  # by stream, the next to be served in front
        self._depth = depth
        self._queue: deque[Item] = deque()
        self._queue_size = queue_size
        self._queue_is_next = False
        self._closed = False
        self._busy = False
        self._cleared = False  # since the item in hand was taken

    def put(self, item: Item, stream: str = "") -> Item | None:
        """Lay down `item`; the one it displaces, or `item` itself if the mailbox is closed."""
        with self._condition:
            if self._closed:
                return item
            waiting = self._newest.setdefault(stream, deque())
            waiting.append(item)
            self._condition.notify_all()
            return waiting.popleft() if len(waiting) > self._depth else None

    def queue(self, item: Item) -> bool:
        """Line up `item`; False where as many wait already, or the mailbox is closed."""
        with self._condition:
            if self._closed or len(self._queue) >= self._queue_size:
                return False
            self._queue.append(item)
            self._condition.notify_all()
            return True

    def put_back(self, item: Item) -> bool:
        """Put what was taken from the queue back in front, to be gone on with in its turn.

        False if the mailbox was cleared or closed in the meantime.
        """
        with self._condition:
            if self._closed or self._cleared:
                return False
            self._queue.appendleft(item)
            return True

    def take(self, timeout: float | None = None) -> Item | None:
        """Wait for an item; None when closed, or after `timeout` seconds without one.

        Who takes is done with the item before: asking for the next says so.
        """
        with self._condition:
            self._busy = False
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._newest or self._queue or self._closed, timeout)
            item: Item | None = None
            if self._queue and (self._queue_is_next or not self._newest):
                item, self._queue_is_next = self._queue.popleft(), False
            elif self._newest:
                item = self._next_of_a_stream()
                self._queue_is_next = True
            self._busy = item is not None
            self._cleared = False
            return item

    def wait_idle(self, timeout: float) -> bool:
        """Wait until the taker has come back for more; False if `timeout` seconds ran out."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._busy, timeout)

    def clear(self) -> list[Item]:
        """Empty the mailbox and return what lay in it."""
        with self._condition:
            return self._emptied()

    def close(self) -> list[Item]:
        """Take no more, wake who waits, return what lay in it."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
            return self._emptied()

    @property
    def closed(self) -> bool:
        """True once `close` was called."""
        return self._closed

    def _next_of_a_stream(self) -> Item:
        """The oldest of the stream in front, which goes to the end."""
        stream, waiting = next(iter(self._newest.items()))
        del self._newest[stream]
        item = waiting.popleft()
        if waiting:
            self._newest[stream] = waiting
        return item

    def _emptied(self) -> list[Item]:
        items = [*chain(*self._newest.values()), *self._queue]
        self._newest.clear()
        self._queue.clear()
        self._cleared = True
        return items
