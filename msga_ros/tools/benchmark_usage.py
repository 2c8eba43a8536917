"""What a process uses of the machine, as Linux has it in /proc; NaN elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_NAN = float("nan")


@dataclass(frozen=True)
class Usage:
    """Seconds of CPU since the start, MB (10^6 bytes) in memory, its peak, and threads."""

    cpu_seconds: float = _NAN
    memory_mb: float = _NAN
    memory_peak_mb: float = _NAN
    threads: int = 0

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Of a running process; all NaN where the system does not tell."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return cls()
        fields = stat.rpartition(")")[2].split()  # the name may hold spaces and brackets
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return cls(
            (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
            _megabytes(lines.get("VmRSS")),
            _megabytes(lines.get("VmHWM")),
            int(lines.get("Threads", "0")),
        )


def machine_cpu_seconds() -> float:
    """Seconds of CPU that all processes of the machine have used together; NaN where unknown."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return _NAN
    # user, nice, system; then idle and iowait; then irq, softirq.
    used = [int(first[i]) for i in (1, 2, 3, 6, 7)]
    return sum(used) / os.sysconf("SC_CLK_TCK")


def _megabytes(text: str | None) -> float:
    return int(text.split()[0]) * 1024e-6 if text else _NAN
