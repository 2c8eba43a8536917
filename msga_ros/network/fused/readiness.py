"""Kernels compile for a quarter of a minute, which no frame may wait for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import torch

from msga_ros.network.fused.values import Tiles, tiles_for

logger = logging.getLogger(__name__)


class Readiness:
    """Which block sizes have their kernels. Thread-safe.

    The first ones compile where they are first wanted: that is when a pipeline warms up. Any other,
    of a larger number of matches, compiles in a thread of its own, and until then whoever asks
    goes another way.
    """

    def __init__(self, compile_for: Callable[[int], None]) -> None:
        """
        Args:
            compile_for: compiles the kernels for so many matches, or raises whatever it is.
        """
        self._compile_for = compile_for
        self._ready: set[Tiles] = set()
        self._started: dict[frozenset[Tiles], threading.Thread] = {}
        self._lock = threading.Lock()

    def usable(self, count: int) -> bool:
        """Whether to use the kernels for `count` matches now: they are there, or are the first."""
        tiles = _tiles_of(count)
        with self._lock:
            if not self._ready or tiles <= self._ready:
                return True
            if tiles not in self._started:
                logger.info(
                    "fused kernels for more matches compile, meanwhile those run layer by layer"
                )
                thread = threading.Thread(
                    target=self._compile, args=(count,), name="msga_kernels", daemon=True
                )
                self._started[tiles] = thread
                thread.start()
        return False

    def add(self, count: int) -> None:
        """Those for `count` matches are there."""
        with self._lock:
            self._ready |= _tiles_of(count)

    def wait(self) -> None:
        """Until nothing compiles any more."""
        with self._lock:
            threads = list(self._started.values())
        for thread in threads:
            thread.join()

    def _compile(self, count: int) -> None:
        try:
            self._compile_for(count)
        except torch.cuda.OutOfMemoryError:  # no fault of the kernels: the next one tries again
            with self._lock:
                del self._started[_tiles_of(count)]
        except Exception as error:  # of a compiler or a driver, whatever it is
            logger.warning(
                "fused kernels for %d matches failed (%s); so many run layer by layer",
                count,
                first_line(error),
            )
        else:
            self.add(count)


def _tiles_of(count: int) -> frozenset[Tiles]:
    """The block sizes for so many matches, and for the half and the quarter that are kept."""
    return frozenset(tiles_for(1, rows) for rows in (count, count // 2, count // 4))


def first_line(error: Exception) -> str:
    """What `error` says, in a line."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
