r"""Tables of what `benchmarks/place_recognition` has recorded.

    python benchmarks/place_recognition/report.py train.jsonl val.jsonl

Thresholds are chosen on the first file: the smallest number of agreeing matches at which precision
is 100 % (99 %). On the second they are applied as they are, and beside it stands the recall at the
best threshold in hindsight, a point of its precision-recall curve.

A pair is true when both photographs are of one place and share `truth.LEAST` of their points, and
false when the places are different. Others of one place count neither way. With `--poses` what is
asked for is a loop with its pose: an accepted pair of one place whose rotation is off by more than
`WRONG_DEG` is false, too, and one of which the method says that it does not know the pose
(DEGENERATE) is not accepted.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from truth import LEAST

WRONG_DEG = 10.0
OVERLAPS = (LEAST, 0.4, 0.6, 0.8, 1.01)
CURVE = (1.0, 0.999, 0.99, 0.98, 0.95, 0.9)


@dataclass
class Judged:
    """Rows of one method over the proposals, a query and a candidate each: `inliers` (N,), `true`
    (N,) bool, a true pair, `right` (N,) one whose acceptance is right, `false` (N,) wrong; `errors`
    (N, 2) degrees, NaN where unknown, `ok` (N,) the direction is known; `overlap` (N,) share of the
    points, NaN where unknown; `mate` (N,) of the same place, whatever they share; `query` (N,)
    number of the query. `all_true`, `all_mates`: pairs of the data, proposed or not; `milliseconds`
    of each verification that was computed."""

    inliers: np.ndarray
    true: np.ndarray
    right: np.ndarray
    false: np.ndarray
    errors: np.ndarray
    ok: np.ndarray
    overlap: np.ndarray
    mate: np.ndarray
    query: np.ndarray
    all_true: int
    all_mates: int
    queries: int
    milliseconds: list[float] = field(default_factory=list)

    def at(self, threshold: int) -> tuple[int, int]:
        """True and false pairs that are accepted."""
        held = self.inliers >= threshold
        return int((held & self.right).sum()), int((held & self.false).sum())

    def threshold(self, precision: float) -> int:
        """The smallest number of inliers from which on precision is at least this."""
        for one in np.unique(self.inliers[self.inliers > 0]):
            right, wrong = self.at(int(one))
            if right and right >= precision * (right + wrong):
                return int(one)
        return int(self.inliers.max()) + 1

    def recall(self, threshold: int) -> tuple[float, float, float]:
        """Of true pairs that were proposed, of all true pairs, and of the queries that have a true
        pair: those that close at least one."""
        right = self.at(threshold)[0]
        held = (self.inliers >= threshold) & self.right
        closed = len(np.unique(self.query[held]))
        return right / max(self.true.sum(), 1), right / self.all_true, closed / self.queries


def load(path: Path, poses: bool, common: bool = False) -> dict[str, Judged]:
    """Each method of a file, over the queries that it, or `common`: every method, has answered."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    header = next(one for one in lines if one["kind"] == "header")
    answers: dict[str, dict[tuple[str, ...], dict]] = {}
    for one in lines:
        for name, answer in one.get("methods", {}).items():
            answers.setdefault(name, {})[tuple(one["pair"])] = answer
    if common:
        pairs = set.intersection(*(set(one) for one in answers.values()))
        answers = {name: {one: found[one] for one in pairs} for name, found in answers.items()}
    return {name: judged(header, found, poses) for name, found in answers.items()}


def judged(header: dict, answers: dict, poses: bool) -> Judged:
    """One method; queries with a proposal that it has not seen are left out."""
    asked = {
        query: others
        for query, others in header["proposals"].items()
        if all(tuple(sorted((query, one))) in answers for one in others)
    }
    shows, overlap = header["shows"], header["overlap"]
    pairs = [(query, one) for query, others in asked.items() for one in others]
    found = [answers[tuple(sorted(pair))] for pair in pairs]
    errors = np.array([one.get("errors_deg", [np.nan, np.nan]) for one in found], float)
    shared = np.array([overlap[a].get(b, np.nan) for a, b in pairs])
    inliers = np.array([one["inliers"] for one in found])
    known = np.array([one.get("status", "OK") == "OK" for one in found])
    true = np.nan_to_num(shared) >= LEAST
    right, false = true, np.array([shows[a] != shows[b] for a, b in pairs])
    if poses:
        with np.errstate(invalid="ignore"):
            turned = errors[:, 0] > WRONG_DEG
        right, false = right & ~turned, false | turned
        inliers = np.where(known, inliers, 0)
    places = Counter(header["places"].values())
    numbers = {query: number for number, query in enumerate(asked)}
    mates = {query: sum(x >= LEAST for x in overlap[query].values()) for query in asked}
    return Judged(
        inliers,
        true,
        right,
        false,
        errors,
        known,
        shared,
        np.array([header["places"][a] == header["places"][b] for a, b in pairs]),
        np.array([numbers[query] for query, _ in pairs]),
        sum(mates.values()),
        sum(places[header["places"][query]] - 1 for query in asked),
        sum(count > 0 for count in mates.values()),
        [one["ms"] for one in answers.values()],
    )


def table(train: dict[str, Judged], val: dict[str, Judged], precision: float) -> None:
    """Frozen thresholds on the second file, and the best one in hindsight, which is said where the
    first file knows nothing of a method."""
    print(f"\nprecision {100 * precision:g} % on the training places\n")
    print(
        "| method | threshold | false accepted | recall of proposed | of all | queries closed "
        "| rotation, direction error (median) | within 5 / 10 deg | recall in hindsight (from) |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, one in val.items():
        best = one.threshold(precision)
        limit = train[name].threshold(precision) if name in train else best
        said = str(limit) if name in train else f"{limit}, hindsight"
        recalls = " | ".join(f"{100 * share:.1f} %" for share in one.recall(limit))
        wrong = f"{one.at(limit)[1]} of {int(one.false.sum())}"
        hindsight = f"{100 * one.recall(best)[0]:.1f} % ({best})"
        print(f"| {name} | {said} | {wrong} | {recalls} | {accuracy(one, limit)} | {hindsight} |")


def shown(train: dict[str, Judged], val: dict[str, Judged]) -> list[tuple[str, Judged]]:
    """The methods that have a threshold."""
    return [(name, one) for name, one in val.items() if name in train]


def accuracy(one: Judged, limit: int) -> str:
    """Errors of the poses of accepted true pairs; a direction where one is claimed."""
    held = (one.inliers >= limit) & one.right
    if not held.any():
        return "- | -"
    turned, off = one.errors[held].T
    known = np.isfinite(off) & one.ok[held]
    worst = np.where(known, np.maximum(turned, np.where(known, off, 0.0)), np.inf)
    within = " / ".join(f"{100 * (worst <= limit).mean():.1f} %" for limit in (5.0, 10.0))
    return f"{np.nanmedian(turned):.2f}, {np.median(off[known]):.2f} deg | {within}"


def by_overlap(train: dict[str, Judged], val: dict[str, Judged]) -> None:
    """Recall of the proposed pairs by the share of points that both see, thresholds of 100 %."""
    ranges = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(OVERLAPS)]
    print("\n| share of points that both see | " + " | ".join(ranges) + " |")
    print("|---" * (len(ranges) + 1) + "|")
    for name, one in shown(train, val):
        held = (one.inliers >= train[name].threshold(1.0)) & one.right
        cells = []
        for low, high in itertools.pairwise(OVERLAPS):
            inside = (one.overlap >= low) & (one.overlap < high) & one.true
            share = f"{100 * held[inside].mean():.1f} %" if inside.any() else "-"
            cells.append(f"{share} of {int(inside.sum())}")
        print(f"| {name} | " + " | ".join(cells) + " |")


def ceilings(train: dict[str, Judged], val: dict[str, Judged]) -> None:
    """How many times the recall of each method one would have that accepts all pairs of one place,
    thresholds of 100 %: all true pairs, and all whatever they share."""
    print("\n| method | true pairs over accepted ones | pairs of one place over accepted ones |")
    print("|---|---|---|")
    for name, one in shown(train, val):
        held = one.inliers >= train[name].threshold(1.0)
        cells = (
            f"{count} / {int((held & which).sum())} = {count / max((held & which).sum(), 1):.3f}"
            for count, which in ((one.all_true, one.right), (one.all_mates, one.mate))
        )
        print(f"| {name} | " + " | ".join(cells) + " |")


def curve(methods: dict[str, Judged]) -> None:
    """Recall of the proposed true pairs at each precision, thresholds in hindsight."""
    print("\n| method | " + " | ".join(f"{100 * one:g} %" for one in CURVE) + " |")
    print("|---" * (len(CURVE) + 1) + "|")
    for name, one in methods.items():
        recalls = [100 * one.recall(one.threshold(precision))[0] for precision in CURVE]
        print(f"| {name} | " + " | ".join(f"{share:.1f} %" for share in recalls) + " |")


def times(path: Path, methods: dict[str, Judged]) -> None:
    """CPU milliseconds of each part."""
    with path.open(encoding="utf-8") as file:
        header = json.loads(file.readline())
    parts: dict[str, Callable[[], list[float]]] = {
        part: lambda part=part: header[f"{part}_ms"]  # type: ignore[misc]
        for part in ("extract", "describe", "search")
    }
    print("\n| CPU, ms | median | 99 % |\n|---|---|---|")
    for part, values in parts.items():
        print(f"| {part} | {np.median(values()):.1f} | {np.percentile(values(), 99):.1f} |")
    for name, one in methods.items():
        low, high = np.percentile(one.milliseconds, (50, 99))
        print(f"| verify a pair: {name} | {low:.1f} | {high:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("train", type=Path)
    parser.add_argument("val", type=Path, nargs="?", help="default: the first file again")
    parser.add_argument("--poses", action="store_true", help="a wrong rotation is a false pair")
    parser.add_argument("--common", action="store_true", help="queries that all have answered")
    asked = parser.parse_args()
    val = asked.val or asked.train
    frozen, methods = (load(one, asked.poses, asked.common) for one in (asked.train, val))
    for name, one in methods.items():
        print(
            f"{name}: {one.queries} queries with a true pair, {one.all_true} true pairs, "
            f"{int(one.true.sum())} proposed; {int(one.false.sum())} false ones proposed"
        )
    for precision in (1.0, 0.99):
        table(frozen, methods, precision)
    by_overlap(frozen, methods)
    ceilings(frozen, methods)
    curve(methods)
    times(val, methods)


if __name__ == "__main__":
    main()
