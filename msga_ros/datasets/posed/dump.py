"""From collections of posed images to one dump: choose pairs, match them, keep the good ones.

An interrupted dump goes on: results are kept in parts beside the output until it is complete. What
is in the dump depends on its settings alone, not on the number of workers or on interruptions.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import msga_ros
from msga_ros.datasets.posed.base import PosedImagesError, PosedScene
from msga_ros.datasets.posed.executors import Executor, in_this_process
from msga_ros.datasets.posed.files import Parts
from msga_ros.datasets.posed.matching import Acceptance, Job, Task
from msga_ros.datasets.posed.selection import Selection, candidates, listed
from msga_ros.frontend.config import FrontendConfig
from msga_ros.two_view.chosen_stages import create_frontend

_LARGEST_TASK = 16  # pairs: long enough to reuse features, short enough to lose little
_TASKS_PER_ROUND = 64  # more tasks than workers, so that none waits for the last one

_Index = tuple[int, int]

Advance = Callable[[int, int, int], None]  # pairs done, pairs in all (so far), pairs kept


@dataclass(frozen=True)
class DumpConfig:
    """What is in a dump.

    Attributes:
        frontend: of the matches; its filters are off, a dump holds all of them.
        selection: of the candidates.
        acceptance: of the matched pairs.
        pairs: at most that many of a scene; 0: all.
        pair_list: instead of choosing: the pairs that this file names (`selection.listed`).
        seed: of the choice.
        bits: coordinates are rounded to 2^-bits; 0: not at all.
        residuals: write `ys`; readers of this package compute them where they are left out.
    """

    frontend: FrontendConfig = field(default_factory=FrontendConfig)
    selection: Selection = field(default_factory=Selection)
    acceptance: Acceptance = field(default_factory=Acceptance)
    pairs: int = 100
    pair_list: Path | None = None
    seed: int = 0
    bits: int = 0
    residuals: bool = True

    def __post_init__(self) -> None:
        if self.bits and not 8 <= self.bits <= 20:
            raise PosedImagesError(f"coordinates are rounded to 8..20 bits, not {self.bits}")
        if self.pairs < 0:
            raise PosedImagesError(f"a number of pairs cannot be negative: {self.pairs}")
        unfiltered = dataclasses.replace(self.frontend, ratio=1.0, mutual=False)
        object.__setattr__(self, "frontend", unfiltered)

    def as_json(self) -> dict[str, object]:
        """All entries, for the record."""
        return {
            **dataclasses.asdict(self),
            "pair_list": self.pair_list and str(self.pair_list.resolve()),
        }


@dataclass(frozen=True)
class SceneSummary:
    """What a scene gave: pairs that could be matched, were matched, were kept; why not the rest."""

    name: str
    candidates: int
    matched: int
    kept: int
    rejected: Mapping[str, int]


def dump(
    scenes: Sequence[PosedScene],
    output: Path,
    config: DumpConfig,
    execute: Executor = in_this_process,
    advance: Advance | None = None,
) -> list[SceneSummary]:
    """Write the dump, or go on with one that was interrupted.

    Args:
        scenes: collections; their names differ.
        output: HDF5 file in the published layout, with `names` and the settings as attributes.
            Until it is complete it does not exist, and `output.parts/` holds what is done.
        config: what goes into it.
        execute: who does the work.
        advance: called after each task.

    Raises:
        PosedImagesError: no pair could be kept; parts of another dump are in the way.
    """
    twice = [name for name, count in Counter(scene.name for scene in scenes).items() if count > 1]
    if twice:
        raise PosedImagesError(f"several collections are called {', '.join(twice)}: rename some")
    create_frontend(config.frontend)  # a wrong name is an error here, not in a worker
    plans = _plans(scenes, config)
    settings = {
        "version": msga_ros.__version__,
        "scenes": {plan.scene.name: len(plan.scene) for plan in plans},
        **config.as_json(),
    }
    parts = Parts(output.with_name(output.name + ".parts"), settings, config.bits, config.residuals)
    for plan in plans:
        plan.catch_up(parts)
    while jobs := [job for plan in plans for job in plan.next_jobs(parts)]:
        total = sum(len(plan.drawn) for plan in plans)
        done = total - len(jobs)
        kept = sum(parts.accepted(name) for plan in plans for name in plan.drawn)
        with closing(execute(list(_tasks(jobs, config)))) as finished:  # ends its workers
            for results in finished:
                parts.add(results)
                done += len(results)
                kept += sum(result.matches is not None for result in results)
                if advance:
                    advance(done, total, kept)
    summaries = [plan.summary(parts) for plan in plans]
    if not any(summary.kept for summary in summaries):
        reasons = Counter[str]()
        for summary in summaries:
            reasons.update(summary.rejected)
        rejected = "; ".join(f"{reason}: {count}" for reason, count in reasons.most_common())
        parts.remove()
        raise PosedImagesError(f"no pair was kept ({rejected or 'no candidates'})")
    names = (name for plan in plans for name in plan.in_order())
    parts.merge(names, output, {"settings": json.dumps(settings)})
    parts.remove()
    return summaries


class _Plan:
    """The pairs of one scene: which are drawn so far, and which come next.

    Pairs are drawn from the shuffled candidates in rounds, each as large as what is still missing,
    so what is drawn follows from which pairs are kept and from nothing else.
    """

    def __init__(self, scene: PosedScene, pairs: NDArray[np.int32], wanted: int) -> None:
        self.scene = scene
        self.drawn: dict[str, _Index] = {}  # pairs that are matched, or are to be, by name
        self._candidates = pairs
        self._wanted = min(wanted or len(pairs), len(pairs))

    def catch_up(self, parts: Parts) -> None:
        """Draw the rounds that an interrupted dump has done."""
        while self._draw(parts) and all(name in parts for name in self.drawn):
            continue

    def next_jobs(self, parts: Parts) -> list[Job]:
        """Pairs that are drawn but not done; a new round where all are."""
        if all(name in parts for name in self.drawn):
            self._draw(parts)
        images = self.scene.images
        # Neighbours in this order share an image, whose features are then at hand.
        missing = (name for name in self.in_order() if name not in parts)
        pairs = ((name, *self.drawn[name]) for name in missing)
        return [Job(name, images[first], images[second]) for name, first, second in pairs]

    def in_order(self) -> list[str]:
        """Names of the drawn pairs, by the order of their images."""
        return sorted(self.drawn, key=self.drawn.__getitem__)

    def summary(self, parts: Parts) -> SceneSummary:
        reasons = Counter(parts.rejected[name] for name in self.drawn if name in parts.rejected)
        kept = sum(parts.accepted(name) for name in self.drawn)
        return SceneSummary(self.scene.name, len(self._candidates), len(self.drawn), kept, reasons)

    def _draw(self, parts: Parts) -> bool:
        """Whether there was anything left to draw."""
        missing = self._wanted - sum(parts.accepted(name) for name in self.drawn)
        before = len(self.drawn)
        for first, second in self._candidates[before : before + max(missing, 0)].tolist():
            images = (self.scene.images[index].name for index in (first, second))
            self.drawn[" ".join((self.scene.name, *images))] = (first, second)
        return len(self.drawn) > before


def _plans(scenes: Sequence[PosedScene], config: DumpConfig) -> list[_Plan]:
    if config.pair_list is not None:
        pairs = listed(scenes, config.pair_list)
        return [_Plan(scene, own, 0) for scene, own in zip(scenes, pairs, strict=True)]
    return [
        _Plan(scene, candidates(scene, config.selection, config.seed), config.pairs)
        for scene in scenes
    ]


def _tasks(jobs: Sequence[Job], config: DumpConfig) -> Iterator[Task]:
    size = min(max(len(jobs) // _TASKS_PER_ROUND, 1), _LARGEST_TASK)
    for start in range(0, len(jobs), size):
        yield Task(tuple(jobs[start : start + size]), config.frontend, config.acceptance)
