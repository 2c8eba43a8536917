"""The thread that does the work, so that the executor thread only receives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from msga_ros.stream.mailbox import Mailbox

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """Takes items from a mailbox of one and hands each to `process`, one at a time.

    An exception from `process` goes to `on_error` and the thread lives on. `on_drop` is called
    with every item that is displaced or thrown away.
    """

    def __init__(
        self,
        process: Callable[[Item], None],
        on_drop: Callable[[Item], None],
        on_error: Callable[[Item, Exception], None],
    ) -> None:
        self._process = process
        self._on_drop = on_drop
        self._on_error = on_error
        self._mailbox: Mailbox[Item] = Mailbox()
        self._thread = threading.Thread(target=self._run, name="msga_worker", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Offer `item`; displaces one that has not been begun."""
        displaced = self._mailbox.put(item)
        if displaced is not None:
            self._on_drop(displaced)

    def drain(self, timeout: float) -> bool:
        """Throw away what waits and let the item in hand finish; False if `timeout` s ran out."""
        waiting = self._mailbox.clear()
        if waiting is not None:
            self._on_drop(waiting)
        return self._mailbox.wait_idle(timeout)

    def stop(self, timeout: float) -> bool:
        """Finish the item in hand and end the thread; False if it still ran after `timeout` s."""
        waiting = self._mailbox.close()
        if waiting is not None:
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
                self._process(item)
            except Exception as error:
                self._on_error(item, error)
            finally:
                del item  # an image must not live on until the next one comes
