"""Peak memory of a piece of work: of this process, and of the CUDA device."""

from __future__ import annotations

import contextlib
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

    `resident`: memory of the whole process, so also its libraries and what earlier work has left
    with the allocator. Linux can reset its high-water mark; elsewhere it is that of the process so
    far. `device`: what torch has allocated on the current CUDA device; 0 without one.
    """

    resident: float = 0.0
    device: float = 0.0

    def __enter__(self) -> PeakMemory:
        with contextlib.suppress(OSError):  # not Linux: the mark stays, and is an upper bound
            _RESET.write_text("5")  # proc(5): resets the peak of the resident memory
        if torch.cuda.is_initialized():
            torch.cuda.reset_peak_memory_stats()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.resident = _high_water_mark()
        if torch.cuda.is_initialized():
            self.device = torch.cuda.max_memory_allocated() / _MIB


def _high_water_mark() -> float:
    try:
        lines = _STATUS.read_text().splitlines()
        kibibytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / _MIB if sys.platform == "darwin" else peak / 1024.0
    return kibibytes / 1024.0
