"""A mailbox with one place: the newest item wins, a worker waits for it."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Hands the newest item from the executor thread to the worker thread.

    `put` never blocks; an item that nobody has taken yet is replaced and returned to be counted.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: Item | None = None
        self._closed = False
        self._busy = False

    def put(self, item: Item) -> Item | None:
        """Lay down `item`; the one it displaces, or `item` itself if the mailbox is closed."""
        with self._condition:
            if self._closed:
                return item
            displaced, self._item = self._item, item
            self._condition.notify_all()
            return displaced

    def take(self, timeout: float | None = None) -> Item | None:
        """Wait for an item; None when closed, or after `timeout` seconds without one.

        Who takes is done with the item before: asking for the next says so.
        """
        with self._condition:
            self._busy = False
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._item is not None or self._closed, timeout)
            item, self._item = self._item, None
            self._busy = item is not None
            return item

    def wait_idle(self, timeout: float) -> bool:
        """Wait until the taker has come back for more; False if `timeout` seconds ran out."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._busy, timeout)

    def clear(self) -> Item | None:
        """Empty the mailbox and return what lay in it."""
        with self._condition:
            item, self._item = self._item, None
            return item

    def close(self) -> Item | None:
        """Take no more, wake who waits, return what lay in it."""
        with self._condition:
            self._closed = True
            item, self._item = self._item, None
            self._condition.notify_all()
            return item

    @property
    def closed(self) -> bool:
        """True once `close` was called."""
        return self._closed
