"""What an interrupted `msga loops` needs to go on: a file beside the map, there until the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msga_ros
from msga_ros.bags.state import StateError, from_bytes, to_bytes
from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.store import KeyframeStore, StoreError
from msga_ros.network import find_weights
from msga_ros.two_view.config import PipelineConfig
from msga_ros.whole_files import write_whole

Odometry = Callable[[], Any]  # the state of the source, when it is kept

_KEEP_EVERY = 20  # views; so many are looked at again at most


@dataclass(frozen=True)
class Kept:
    """`views` of the source were done, the records of the map ended at `end` and `before`
    keyframes of them were there when the run began; `mapper`, `odometry`: states, see
    `LoopMapper.state_dict` and `SourceOfViews.state`."""

    views: int
    before: int
    end: int
    mapper: Mapping[str, Any]
    odometry: Any


class InterruptedRun:
    """The file `<map>.partial`; without a map there is none, and nothing is kept."""

    def __init__(self, map_file: Path | None, fingerprint: str) -> None:
        self._map = map_file
        self._fingerprint = fingerprint
        self._path = None if map_file is None else map_file.with_name(map_file.name + ".partial")

    def kept(self) -> tuple[Kept | None, str]:
        """Where the same command was interrupted, or None; and what a user should know of it."""
        if self._map is None or self._path is None or not self._path.is_file():
            return None, ""
        try:
            found = from_bytes(self._path.read_bytes())
            fingerprint, kept = found["fingerprint"], Kept(**found["kept"])
        except (StateError, KeyError, TypeError) as error:
            return None, f"{self._path}: cannot be read, so the run begins anew: {error}"
        if fingerprint != self._fingerprint:
            return None, (
                f"{self._path} is of another command or of other files, which was interrupted: "
                "this one begins anew, and what that one has put into the map stays there"
            )
        if not self._map.is_file() or self._map.stat().st_size < kept.end:
            return None, f"{self._map}: not what an interrupted run has left: it begins anew"
        return kept, f"goes on after {kept.views} views, where it was interrupted"

    def keep(
        self, views: int, before: int, store: KeyframeStore, mapper: LoopMapper, odometry: Odometry
    ) -> None:
        """Have all on the disk that the next view depends on. Raises `OSError`."""
        if self._path is None:
            return
        try:
            kept = Kept(views, before, store.end, mapper.state_dict(), odometry())
            state = to_bytes({"fingerprint": self._fingerprint, "kept": vars(kept)})
        except (StoreError, StateError):  # a loop waits for the disk: the last state still holds
            return
        write_whole(self._path, state)

    def keep_some(
        self, views: int, before: int, store: KeyframeStore, mapper: LoopMapper, odometry: Odometry
    ) -> None:
        """`keep`, of every so many-th view."""
        if views % _KEEP_EVERY == 0:
            self.keep(views, before, store, mapper, odometry)

    def end(self) -> None:
        """Everything is done."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def fingerprint(source: str, settings: PipelineConfig, described: Mapping[str, object]) -> str:
    """Of all that decides what a run finds: `described`, the files of `source`, the weights."""
    weights = find_weights(settings.network.weights, settings.network.device)
    path = Path(source).expanduser()
    files = [one for one in sorted(path.rglob("*")) if one.is_file()] if path.is_dir() else [path]
    text = json.dumps(
        {
            "version": msga_ros.__version__,
            "source": str(path.resolve()),
            "files": [_file(one) for one in files],
            "weights": hashlib.sha256(weights.read_bytes()).hexdigest()
            if weights.is_file()
            else "",
            "pipeline": asdict(settings),
            **described,
        },
        sort_keys=True,
        default=str,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _file(path: Path) -> list[object]:
    known = path.stat() if path.exists() else None
    return [str(path), *((known.st_size, known.st_mtime_ns) if known else ())]
