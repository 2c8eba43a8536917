"""Each operation of the fused network by itself: what it takes, and with other block sizes.

Everything is compiled and held against torch first, by many processes at a time; then each is timed
alone, many calls in a recording, so that neither the host nor the launches count.
"""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, NamedTuple

import torch
from fused_jobs import MOST_APART
from network_speed import recorded_call
from records import Entry, Records, milliseconds, synchronise
from scenes import scenes

from msga_ros.network import MSGANet, packaged_weights
from msga_ros.network.fused.checking import Call, apart, calls_of
from msga_ros.network.fused.operations import kernel
from msga_ros.network.fused.values import WIDE, Tiles

SECTION = "tuning"
SHAPES = (("msga_net", 32, 1000), ("msga_net", 1, 2000), ("msga_net_lite", 1, 2000))
_CALLS = 20  # in a recording
# What is tried instead of the rule, one line each: names of `Tiles`, and values in their order.
_GRID = ("cells", "outputs", "grid_depth", "grid_warps")
_LINEAR = ("rows", "columns", "depth", "warps")
_RINGS = ("ring_rows", "ring_columns", "ring_depth", "warps")
_WIDE = ("wide_rows", "wide_columns", "wide_depth", "warps")
OTHERS: dict[str, tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]] = {
    "linear": (
        _LINEAR,
        ((16, 64, 128, 4), (32, 64, 128, 4), (64, 64, 64, 4), (128, 64, 32, 8), (128, 128, 32, 8)),
    ),
    "wide": (_WIDE, ((64, 64, 64, 4), (128, 64, 32, 8), (128, 128, 32, 8))),
    "annular": (
        _RINGS,
        ((16, 64, 64, 4), (16, 128, 32, 4), (32, 64, 32, 4), (64, 64, 32, 4), (64, 128, 32, 8)),
    ),
    "nearest": (
        ("near_rows", "near_depth", "near_warps"),
        ((32, 32, 4), (64, 64, 4), (64, 32, 8), (128, 32, 8), (128, 16, 8)),
    ),
    "edge_output": (
        ("edge_rows", "chunk", "warps"),
        ((16, 128, 4), (16, 64, 4), (32, 64, 8), (32, 32, 4), (64, 32, 8)),
    ),
    "pool": (("warps", "parts"), ((8, 32), (4, 32))),
    "channel_attention": (
        ("channel_cells", "channel_warps"),
        ((16, 4), (16, 8), (32, 4), (64, 8)),
    ),
    "unpool": (("query_rows", "warps"), ((16, 4), (32, 8), (64, 8))),
    "convolution": (
        _GRID,
        ((16, 32, 64, 4), (16, 16, 128, 4), (32, 32, 64, 4), (64, 32, 64, 4), (64, 64, 32, 4)),
    ),
}
OTHERS["mixing"] = OTHERS["convolution"]


class Job(NamedTuple):
    """A distinct call of a network, by its place among them, with block sizes of its own."""

    network: str
    batch: int
    count: int
    place: int
    changes: tuple[tuple[str, int], ...] = ()

    @property
    def words(self) -> str:
        """The block sizes."""
        return " ".join(f"{name} {value}" for name, value in self.changes) or "rule"


def measure_tuning(records: Records) -> None:
    """Of each network and shape a table: operation, calls, microseconds, best block sizes."""
    if records.device.type == "cpu" and not os.environ.get("TRITON_INTERPRET"):
        print("tuning: no CUDA device, and TRITON_INTERPRET is not set", flush=True)
        return
    for shape in ((SHAPES[2][0], 1, 40),) if records.small else SHAPES:
        records.measure(
            SECTION, "{} {}x{}".format(*shape), lambda s=shape: _tuned(records, s), needs=20
        )  # type: ignore[misc]


def distinct_calls(
    network: str, batch: int, count: int, device: torch.device
) -> list[tuple[Call, int]]:
    """The operations of one pass, and how many are alike."""
    net = MSGANet.load(packaged_weights(network)).to(device)
    matches, evidence = (one.to(device) for one in scenes(batch, count))
    valid = torch.ones(matches.shape[:2], dtype=torch.bool, device=device)
    torch.backends.cudnn.allow_tf32 = False
    found: dict[str, tuple[Call, int]] = {}
    with torch.inference_mode():
        for call in calls_of(net, matches, valid, evidence):
            key = f"{call.name} {call.size} {sorted(call.keywords.items())}"
            found[key] = call, found.get(key, (call, 0))[1] + 1
    return list(found.values())


def _tuned(records: Records, shape: tuple[str, int, int]) -> Entry:
    calls = distinct_calls(*shape, records.device)
    seen: set[tuple[object, ...]] = set()
    jobs = []
    for place, (call, _) in enumerate(calls):
        jobs.append(Job(*shape, place))
        kind = call.name, _last_sizes(call), *sorted(call.keywords.items())
        if kind not in seen:  # the same kernels for fewer rows
            seen.add(kind)
            others = itertools.islice(_changes(call), 1 if records.small else None)
            jobs += [Job(*shape, place, changes) for changes in others]
    wrong = _compiled(jobs, records.device)
    rows: list[Entry] = []
    with torch.inference_mode():
        for place, (call, alike) in enumerate(calls):
            times = {
                job.words: _microseconds(records, call, job)
                for job in jobs
                if job.place == place and job not in wrong
            }
            problems = {
                job.words: wrong[job] for job in jobs if job.place == place and job in wrong
            }
            row = {"operation": call.name, "size": call.size, "calls": alike, "us": times}
            rows.append({**row, "wrong": problems} if problems else row)
    rows.sort(key=lambda row: -row["calls"] * row["us"].get("rule", 0.0))
    for row in rows:
        best = min(row["us"], key=row["us"].get)
        rule = row["us"].get("rule", float("nan"))
        what = f"{row['operation']:18} {row['size'][:60]:60} {row['calls']:3} x"
        print(f"{what} {rule:7.1f} us, {best}: {row['us'][best]:.1f}", flush=True)
    total = sum(row["calls"] * row["us"].get("rule", 0.0) for row in rows)
    best_total = sum(row["calls"] * min(row["us"].values()) for row in rows if row["us"])
    return {"total_us": total, "best_total_us": best_total, "operations": rows}


def _changes(call: Call) -> Iterator[tuple[tuple[str, int], ...]]:
    wide = call.name == "linear" and len(call.arguments[1].weight) >= WIDE
    names, values = OTHERS.get("wide" if wide else call.name, ((), ()))
    for one in values:
        yield tuple(zip(names, one, strict=True))


def _last_sizes(call: Call) -> tuple[str, ...]:
    """The sizes of what it is given, without those that are numbers of matches."""
    sizes = [[int(side) for side in size.split("x")] for size in call.size.split()]
    batch = sizes[0][0]
    weights = [(len(size) == 2 and size[0] != batch) or size[0] == 9 for size in sizes]
    return tuple(
        str(size if weight else size[-1]) for size, weight in zip(sizes, weights, strict=True)
    )


def _changed(call: Call, changes: tuple[tuple[str, int], ...]) -> tuple[Any, ...]:
    """The arguments of `call`, with other block sizes."""
    return tuple(
        dataclasses.replace(one, **dict(changes)) if isinstance(one, Tiles) else one
        for one in call.arguments
    )


def _microseconds(records: Records, call: Call, job: Job) -> float:
    arguments, operation = _changed(call, job.changes), kernel(call.name)

    repeats, many_calls = (1, 1) if records.small else (10, _CALLS)

    def many() -> None:
        for _ in range(many_calls):
            operation(*arguments, **call.keywords)

    call_all = recorded_call(many) if records.device.type == "cuda" else many
    return milliseconds(call_all, records.device, repeats)["ms"] / many_calls * 1e3


def _compiled(jobs: list[Job], device: torch.device) -> dict[Job, str]:
    """Compile all, many at a time; what failed or differs from torch, and how."""
    processes = max(1, min(14, (os.cpu_count() or 1) - 1))
    context = multiprocessing.get_context("spawn")
    wrong: dict[Job, str] = {}
    with ProcessPoolExecutor(processes, context) as pool:
        parts = [jobs[start::processes] for start in range(processes)]
        for future in as_completed(
            [pool.submit(_check, part, str(device)) for part in parts if part]
        ):
            wrong |= future.result()
    return wrong


def _check(jobs: list[Job], device: str) -> dict[Job, str]:
    wrong: dict[Job, str] = {}
    for shape, group in itertools.groupby(jobs, key=lambda job: job[:3]):
        calls = distinct_calls(*shape, torch.device(device))
        for job in group:
            call = calls[job.place][0]
            try:
                with torch.inference_mode():
                    found = kernel(call.name)(*_changed(call, job.changes), **call.keywords)
                    synchronise(torch.device(device))
                    difference = apart(call, found)
                if not difference <= MOST_APART:
                    wrong[job] = f"differs by {difference:.2g}"
            except Exception as error:  # of a compiler or a driver, whatever it is
                wrong[job] = f"{type(error).__name__}: {error}"[:300]
    return wrong
