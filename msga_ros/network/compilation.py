"""The network compiled by `torch.compile`, one number of matches after the other, while it runs."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

Made = TypeVar("Made")


class CompilationInBackground(Generic[Made]):
    """Makes something better for each size that was asked for, in a thread of its own.

    Compiling takes half a minute and more: what there is goes on meanwhile, and for good where it
    fails, which is one warning a size.
    """

    def __init__(self, make: Callable[[int], Made], take: Callable[[int, Made], None]) -> None:
        """`take(size, made)` is called from that thread once `make(size)` is done."""
        self._make = make
        self._take = take
        self._sizes: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._started = False
        self._left = 0
        self._change = threading.Condition()

    def ask(self, size: int) -> None:
        """Compile for `size` matches, after what was asked for before."""
        with self._change:
            self._left += 1
            if not self._started:
                self._started = True
                threading.Thread(target=self._work, name="msga_compiling", daemon=True).start()
        self._sizes.put(size)

    def wait(self, seconds: float) -> bool:
        """Until all is compiled that was asked for; whether it is."""
        with self._change:
            return self._change.wait_for(lambda: self._left == 0, seconds)

    def _work(self) -> None:
        while True:
            size = self._sizes.get()
            self._compile(size)
            with self._change:
                self._left -= 1
                self._change.notify_all()

    def _compile(self, size: int) -> None:
        started = time.monotonic()
        logger.info(
            "the network is being compiled for %d matches and runs as it is until then", size
        )
        try:
            self._take(size, self._make(size))
        except Exception as error:  # of a compiler or a device, whatever it is
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            logger.warning("compiling for %d matches failed (%s); it runs as it is", size, reason)
            return
        logger.info("compiled for %d matches in %.0f s", size, time.monotonic() - started)
