"""What was measured, in a file that grows entry by entry."""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

Entry = dict[str, Any]


class Records:
    """Entries by section and name; one that is there is not measured again."""

    def __init__(
        self,
        path: Path,
        seconds: float,
        device: str,
        small: bool,
        thorough: bool = False,
        places: Sequence[Path] = (),
    ) -> None:
        """`places`: folders of posed images, for what needs photographs."""
        self.device = torch.device(device)
        self.small = small
        self.thorough = thorough
        self.places = tuple(places)
        self._path = path
        self._started = time.monotonic()
        self._seconds = seconds
        self._document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self._document["machine"] = self._machine()

    def left(self) -> float:
        """Seconds until nothing new is to be started."""
        return self._seconds - (time.monotonic() - self._started)

    def has(self, section: str, name: object) -> bool:
        """Whether it has been measured."""
        entries = self._document.get(section, {})
        return str(name) in entries and "error" not in entries[str(name)]

    def beside(self, name: str) -> Path:
        """A file of that name for what is too much for an entry, beside the figures."""
        return self._path.with_suffix(f".{name}")

    def took(self, section: str, seconds: float) -> None:
        """Keep how long a section took."""
        sections = self._document.setdefault("seconds", {})
        sections[section] = round(sections.get(section, 0.0) + seconds, 1)
        print(f"== {section}: {seconds:.1f} s, {self.left():.0f} s left", flush=True)
        if self._path.exists():
            self._write()

    def entry(self, section: str, name: str) -> Entry:
        """What is there already; nothing where it was not measured."""
        found: Entry = self._document.get(section, {}).get(name, {})
        return found

    def measure(self, section: str, name: str, work: Callable[[], Entry], needs: float) -> None:
        """Run `work`, which takes about `needs` seconds, and keep its entry; what fails is kept as
        `error`, what there is no time for is left for the next run."""
        entries = self._document.setdefault(section, {})
        if self.has(section, name):
            return
        if self.left() < (0.1 * needs if self.small else needs):
            print(f"{section}/{name}: no time left", flush=True)
            return
        started = time.monotonic()
        try:
            entry = work()
        except Exception as error:  # the next entry may well work
            entry = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        entries[name] = {**entry, "took_s": round(time.monotonic() - started, 1)}
        print(f"{section}/{name}: {_short(entries[name])}", flush=True)
        self._write()

    def error(self, section: str, text: str) -> None:
        """Keep what went wrong outside of any entry."""
        self._document.setdefault("errors", {})[section] = text[-2000:]
        print(text, file=sys.stderr, flush=True)
        self._write()

    def print(self) -> None:
        """How long it took, and where the figures are."""
        print(f"{time.monotonic() - self._started:.0f} s; {self._path}", flush=True)

    def _write(self) -> None:
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._document, indent=1) + "\n")
        temporary.replace(self._path)

    def _machine(self) -> Entry:
        facts: Entry = {"torch": torch.__version__, "python": platform.python_version()}
        facts["device"] = str(self.device)
        if self.device.type == "cuda":
            properties = torch.cuda.get_device_properties(self.device)
            facts["card"] = properties.name
            facts["memory_gib"] = round(properties.total_memory / 2**30, 1)
            facts["multiprocessors"] = properties.multi_processor_count
        return facts


def synchronise(device: torch.device) -> None:
    """Wait for what was launched on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def milliseconds(work: Callable[[], object], device: torch.device, repeats: int) -> Entry:
    """Of one call, by the host's clock with the device waited for: median, least and most."""
    times = []
    for turn in range(repeats + 3):
        synchronise(device)
        started = time.perf_counter()
        work()
        synchronise(device)
        if turn >= 3:
            times.append((time.perf_counter() - started) * 1e3)
    return {"ms": statistics.median(times), "least_ms": min(times), "most_ms": max(times)}


def _short(entry: Entry) -> str:
    def shown(value: object) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    return " ".join(f"{key}={shown(value)}" for key, value in entry.items())
