"""Peak memory of a piece of work: of this process, and of the CUDA device."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import torch

_MIB = float(1 << 20)
_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


@dataclass
class PeakMemory:
    """Context that measures the peak of what runs inside it, in MiB.

    `resident`: by how much the memory of the process grows at most. What earlier work has left with
    the C library's allocator is given back before, so that it does not hide what is used. Linux
    resets its high-water mark for it; elsewhere only growth beyond the peak so far is seen.
    `device`: what torch has allocated at most on the current CUDA device, in all; 0 without one.
    """

    resident: float = 0.0
    device: float = 0.0

    def __enter__(self) -> PeakMemory:
        _give_back()
        with contextlib.suppress(OSError):  # not Linux
            _RESET.write_text("5")  # proc(5): resets the peak of the resident memory
        self._before = _high_water_mark()
        if torch.cuda.is_initialized():
            torch.cuda.reset_peak_memory_stats()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.resident = _high_water_mark() - self._before
        if torch.cuda.is_initialized():
            self.device = torch.cuda.max_memory_allocated() / _MIB


def _give_back() -> None:
    with contextlib.suppress(OSError, AttributeError, TypeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def _high_water_mark() -> float:
    try:
        lines = _STATUS.read_text().splitlines()
        kibibytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / _MIB if sys.platform == "darwin" else peak / 1024.0
    return kibibytes / 1024.0
