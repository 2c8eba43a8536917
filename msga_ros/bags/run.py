"""A bag in, a bag out: the whole run, resumable, with what it counted."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msga_ros
from msga_ros.bags.errors import BagError
from msga_ros.bags.journal import Entry, Journal, Message
from msga_ros.bags.motion import Motion
from msga_ros.bags.outputs import OutputOptions, put_in_place, serialised, write_bag
from msga_ros.bags.reading import Bag
from msga_ros.bags.replay import MessageSet, Replayer, Tally, message_sets
from msga_ros.bags.topics import Topics, choose_topics
from msga_ros.bags.trajectory import write_trajectories
from msga_ros.frontend.base import FrontendError
from msga_ros.geometry.camera import CameraError
from msga_ros.network import packaged_weights
from msga_ros.node.processor import Pipeline
from msga_ros.node.settings import Settings

Warn = Callable[[str], None]
Progress = Callable[[int, int], None]  # messages read, messages in all
_SAME_WARNINGS = 3  # so often the same complaint is made; after that it is only counted


@dataclass(frozen=True)
class Request:
    """`topics`: topic by input name, for those that are not the node's own names.

    `storage`: of the new bag, `mcap` or `sqlite3`; empty: that of the old one.
    """

    source: Path
    target: Path
    settings: Settings
    topics: Mapping[str, str] = field(default_factory=dict)
    outputs: OutputOptions = field(default_factory=OutputOptions)
    storage: str = ""
    overwrite: bool = False


@dataclass(frozen=True)
class Summary:
    """What a run did. `resumed`: sets that an earlier run had done; `by_status`: of the poses."""

    sets: int
    resumed: int
    outcomes: int
    by_status: Mapping[str, int]
    poses: int
    tally: Tally
    files: tuple[Path, ...]


def run(
    request: Request,
    load_pipeline: Callable[[], Pipeline],
    warn: Warn,
    progress: Progress = lambda done, total: None,
) -> Summary:
    """Process `request.source` into `request.target`; see `msga bag --help`.

    What is done lies in `<target>.partial` until the end; the same request goes on from there.
    Raises `BagError`.
    """
    _check_target(request)
    bag = Bag(request.source, warn)
    topics = choose_topics(request.settings.stereo, request.topics, bag.types)
    work = request.target.with_name(request.target.name + ".partial")
    journal = Journal(work, _fingerprint(request, bag, topics))
    resumed, tally = journal.count, Tally()
    try:
        _process(request, bag, topics, journal, tally, load_pipeline, warn, progress)
    finally:
        journal.close()
    return _finish(request, bag, journal, resumed, tally)


def _process(
    request: Request,
    bag: Bag,
    topics: Topics,
    journal: Journal,
    tally: Tally,
    load_pipeline: Callable[[], Pipeline],
    warn: Warn,
    progress: Progress,
) -> None:
    complaints = _Complaints(warn)
    replayer = Replayer(load_pipeline(), topics, request.settings, complaints)
    total = sum(bag.counts[topic] for topic in topics.by_topic)
    done, state = journal.count, (journal.last or {}).get("state", {})
    reference: MessageSet | None = None
    for one in message_sets(
        bag, topics, request.settings, tally, warn, lambda: progress(tally.read, total)
    ):
        if one.number < done:
            if one.number == state["reference"]:
                reference = one
            if one.number == done - 1:
                replayer.restore(state, reference)
                reference = None
            continue
        journal.append(_entry(replayer, one, request.outputs, complaints))


def _entry(
    replayer: Replayer, one: MessageSet, options: OutputOptions, complaints: _Complaints
) -> Entry:
    try:
        outcome, _ = replayer.relate(one)
    except (CameraError, FrontendError) as error:
        complaints("unusable", "", str(error))
        outcome = None
    header: dict[str, Any] = {"state": replayer.state(), "motion": None}
    if outcome is None:
        return Entry(header)
    header["motion"] = Motion.of(outcome, one.epoch).as_json()
    header["status"] = outcome.result.status.name
    return Entry(header, serialised(outcome, one.time_ns, options))


def _finish(request: Request, bag: Bag, journal: Journal, resumed: int, tally: Tally) -> Summary:
    """Make bag and trajectories beside the journal, and put them in place whole."""
    made = journal.folder / "bag" / request.target.name
    shutil.rmtree(made.parent, ignore_errors=True)
    made.parent.mkdir(parents=True)
    motions: list[Motion] = []
    by_status: dict[str, int] = {}

    def messages() -> Iterator[Message]:
        for entry in journal.entries():
            if entry.header["motion"] is not None:
                motions.append(Motion.from_json(entry.header["motion"]))
                status = entry.header["status"]
                by_status[status] = by_status.get(status, 0) + 1
            yield from entry.messages

    write_bag(made, request.storage or bag.storage, request.outputs.topics, messages())
    files, poses = write_trajectories(made, motions, request.settings.stereo)
    put_in_place(made, request.target)
    shutil.rmtree(journal.folder)
    return Summary(
        sets=tally.sets,
        resumed=resumed,
        outcomes=len(motions),
        by_status=by_status,
        poses=poses,
        tally=tally,
        files=tuple(request.target / path.name for path in files),
    )


class _Complaints:
    """Hands the processor's complaints on, the same one a few times only."""

    def __init__(self, warn: Warn) -> None:
        self._warn = warn
        self._seen: dict[tuple[str, str], int] = {}

    def __call__(self, kind: str, topic: str, text: str) -> None:
        count = self._seen[kind, topic] = self._seen.get((kind, topic), 0) + 1
        if count <= _SAME_WARNINGS:
            rest = " (no more of these are shown)" if count == _SAME_WARNINGS else ""
            self._warn(f"{topic}: {text}{rest}" if topic else text + rest)


def _check_target(request: Request) -> None:
    target = request.target
    if not target.name:
        raise BagError(f"{target}: a name for the new bag is needed")
    if target.resolve() == request.source.resolve():
        raise BagError(f"{target}: the new bag cannot take the place of the old one")
    if not target.exists():
        return
    if not request.overwrite:
        raise BagError(f"{target}: exists; give another name, or --overwrite")
    if not (target / "metadata.yaml").is_file():
        raise BagError(f"{target}: exists and is not a bag; it is not overwritten")


def _fingerprint(request: Request, bag: Bag, topics: Topics) -> str:
    """Of all that decides what is written: another one, and an earlier run is of no use."""
    weights = Path(request.settings["network.weights"] or packaged_weights())
    described = {
        "version": msga_ros.__version__,
        "files": [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in bag.files],
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "",
        "settings": dict(request.settings.values),
        "topics": dict(topics.by_input),
        "outputs": asdict(request.outputs),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
