"""The thread that does the work, so that the executor thread only receives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from msga_ros.stream.mailbox import Mailbox

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """Takes items from a `Mailbox` and hands each to `process`, one at a time.

    `process` returns True where only a step of the item's work is done: the next one is done in its
    turn, after a newer item of a stream. An exception from `process` goes to `on_error` and the
    thread lives on. `on_drop` is called with every item that is displaced or thrown away. So many
    items of a stream wait as `depth` says, and as many requests as `queue_size`.
    """

    def __init__(
        self,
        process: Callable[[Item], bool | None],
        on_drop: Callable[[Item], None],
        on_error: Callable[[Item, Exception], None],
        queue_size: int = 0,
        depth: int = 1,
    ) -> None:
        self._process = process
        self._on_drop = on_drop
        self._on_error = on_error
        self._mailbox: Mailbox[Item] = Mailbox(queue_size, depth)
        self._thread = threading.Thread(target=self._run, name="msga_worker", daemon=True)
        self._thread.start()

    def put(self, item: Item, stream: str = "") -> None:
        """Offer the newest `item` of a stream; displaces one that has not been begun."""
        displaced = self._mailbox.put(item, stream)
        if displaced is not None:
            self._on_drop(displaced)

    def queue(self, item: Item) -> bool:
        """Line up `item`, to be worked between those of the streams; False where it is full."""
        return self._mailbox.queue(item)

    def drain(self, timeout: float) -> bool:
        """Throw away what waits and let the work in hand finish; False if `timeout` s ran out."""
        for waiting in self._mailbox.clear():
            self._on_drop(waiting)
        return self._mailbox.wait_idle(timeout)

    def stop(self, timeout: float) -> bool:
        """Finish the work in hand and end the thread; False if it still ran after `timeout` s."""
        for waiting in self._mailbox.close():
            self._on_drop(waiting)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            item = self._mailbox.take()
            if item is None:
                if self._mailbox.closed:
                    return
                continue
            try:
                if self._process(item) and not self._mailbox.put_back(item):
                    self._on_drop(item)
            except Exception as error:
                self._on_error(item, error)
            finally:
                del item  # an image must not live on until the next one comes
