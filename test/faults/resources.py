"""What a process holds, from /proc: memory, files, threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Resources:
    """Memory in MB (resident now, and at most so far), open files, threads."""

    rss: float
    peak: float
    files: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Resources:
        """Of a living process. Raises `OSError` for one that has ended."""
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        return cls(
            rss=int(status["VmRSS"].split()[0]) / 1024,
            peak=int(status["VmHWM"].split()[0]) / 1024,
            files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            threads=int(status["Threads"]),
        )
