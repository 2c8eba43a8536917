"""Pairing by stamps, the same for our stand-ins and for the original `message_filters`."""

from __future__ import annotations

import importlib
import itertools
import random
from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from msga_ros.node.ros_libraries import filters_module
from msga_ros.stream import message_filters_fallback
from msga_ros.stream.message_set import stamp_ns
from msga_ros.stream.pairing import Pairing

MS = 1_000_000
BASE = 1_700_000_000_000 * MS


def filters() -> list[Any]:
    modules = [pytest.param(message_filters_fallback, id="ours")]
    try:
        original = importlib.import_module("message_filters")
    except ImportError:
        reason = "message_filters is not installed"
        skipped = pytest.param(None, id="original", marks=pytest.mark.skip(reason=reason))
        return [*modules, skipped]
    return [*modules, pytest.param(original, id="original")]


class Stamp(SimpleNamespace):
    """A `builtin_interfaces/Time` without ROS."""


def make(ns: int, **fields: Any) -> Any:
    """A message with a header; real Time messages where they import (the original needs them)."""
    sec, nanosec = divmod(ns, 1_000_000_000)
    try:
        from builtin_interfaces.msg import Time

        stamp: Any = Time(sec=sec, nanosec=nanosec)
    except ImportError:
        stamp = Stamp(sec=sec, nanosec=nanosec)
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp), **fields)


class Recorder:
    """A `Pairing` of two or more inputs and what it said."""

    def __init__(self, module: ModuleType, names: tuple[str, ...] = ("a", "b"), **kw: Any) -> None:
        self.sets: list[tuple[float, ...]] = []
        self.messages: list[Mapping[str, Any]] = []
        self.drops: list[str] = []
        self.jumps: list[float] = []
        self.pairing = Pairing(
            names, self._on_set, self.drops.append, self.jumps.append, filters=module, **kw
        )

    def _on_set(self, messages: Mapping[str, Any]) -> None:
        self.messages.append(messages)
        stamps = (stamp_ns(one) for one in messages.values())
        self.sets.append(tuple((stamp - BASE) / MS for stamp in stamps))

    def feed(self, *arrivals: tuple[str, float]) -> Recorder:
        """Arrivals as (input, ms)."""
        for name, ms in arrivals:
            self.pairing.add(name, make(BASE + round(ms * MS)))
        return self


@pytest.fixture(params=filters())
def module(request: pytest.FixtureRequest) -> ModuleType:
    found: ModuleType = request.param
    return found


def test_equal_stamps_are_a_set_in_whatever_order_the_inputs_arrive(module: ModuleType) -> None:
    names = ("left", "left_info", "right", "right_info")
    for number, order in enumerate(itertools.permutations(names)):
        run = Recorder(module, names)
        run.feed(*((name, 10.0 * number) for name in order))
        assert run.sets == [(10.0 * number,) * 4]
        assert tuple(run.messages[0]) == names


def test_exact_ignores_near_stamps(module: ModuleType) -> None:
    assert Recorder(module).feed(("a", 0), ("b", 1e-6), ("a", 100), ("b", 100.1)).sets == []


def test_slop_of_zero_matches_equal_stamps(module: ModuleType) -> None:
    assert Recorder(module, slop=0.0).feed(("a", 5), ("b", 5)).sets == [(5, 5)]


def test_approximate_pairs_within_the_slop_and_not_beyond(module: ModuleType) -> None:
    run = Recorder(module, slop=0.010)
    run.feed(("a", 0), ("b", 9), ("a", 100), ("b", 111), ("a", 200), ("b", 195))
    assert run.sets == [(0, 9), (200, 195)]


def test_approximate_takes_the_nearest(module: ModuleType) -> None:
    run = Recorder(module, slop=0.020)
    run.feed(("b", 0), ("b", 12), ("a", 13))
    assert run.sets == [(13, 12)]


def test_approximate_of_four_inputs(module: ModuleType) -> None:
    names = ("a", "b", "c", "d")
    run = Recorder(module, names, slop=0.015)
    run.feed(("a", 0), ("b", 3), ("c", 7), ("d", 12), ("a", 100), ("b", 93), ("c", 96))
    assert run.sets == [(0, 3, 7, 12)]
    assert run.feed(("d", 116)).sets == [(0, 3, 7, 12)]  # 23 ms from the earliest
    assert run.feed(("d", 105)).sets[1:] == [(100, 93, 96, 105)]


def test_no_message_is_in_two_sets(module: ModuleType) -> None:
    generator = random.Random(3)
    for slop in (0.0, 0.004, 0.03):
        run = Recorder(module, ("a", "b", "c"), slop=slop)
        arrivals = [
            (name, 10.0 * frame + generator.choice((0.0, 0.0, 1.0, 3.0)))
            for frame in range(60)
            for name in "abc"
            if generator.random() > 0.1
        ]
        run.feed(*arrivals)
        for position in range(3):
            stamps = [one[position] for one in run.sets]
            assert stamps == sorted(set(stamps))
        assert all(max(one) - min(one) <= slop * 1e3 for one in run.sets)
        assert len(run.sets) > (2 if slop == 0 else 25)


def test_a_dropped_partner_costs_only_its_own_set(module: ModuleType) -> None:
    run = Recorder(module)
    run.feed(("a", 0), ("b", 0), ("a", 100), ("b", 200), ("a", 200), ("a", 300), ("b", 300))
    assert run.sets == [(0, 0), (200, 200), (300, 300)]


def test_one_silent_input_fills_no_memory_and_comes_back(module: ModuleType) -> None:
    run = Recorder(module, queue_size=5)
    run.feed(*(("a", 10.0 * i) for i in range(200)))
    assert run.sets == []
    assert sum(len(queue) for queue in run.pairing._chain.queues) <= 5
    assert run.feed(("b", 1990), ("a", 2000), ("b", 2000)).sets == [(1990, 1990), (2000, 2000)]


@pytest.mark.parametrize("slop", [0.0, 0.002])
def test_a_queue_is_as_long_as_it_is_asked_to_be(module: ModuleType, slop: float) -> None:
    """A partner may come as many messages late as the queue holds, and no later."""
    for size in (3, 20):
        late = [("b", 10.0 * i) for i in range(40)]
        run = Recorder(module, queue_size=size, slop=slop)
        run.feed(*(("a", 10.0 * i) for i in range(40)), *late)
        assert [one[0] for one in run.sets] == [10.0 * i for i in range(40 - size, 40)]


def test_late_partner_within_the_queue(module: ModuleType) -> None:
    run = Recorder(module)
    run.feed(("a", 0), ("a", 10), ("a", 20), ("b", 0), ("b", 10), ("b", 20))
    assert run.sets == [(0, 0), (10, 10), (20, 20)]


def test_sets_come_in_increasing_time_and_doubles_are_counted(module: ModuleType) -> None:
    run = Recorder(module)
    run.feed(("a", 0), ("a", 10), ("b", 10), ("b", 0))  # the older one is complete too late
    assert run.sets == [(10, 10)]
    assert run.drops == ["out_of_order"]
    run.feed(("a", 20), ("b", 20), ("a", 20), ("b", 20))
    assert run.sets == [(10, 10), (20, 20)]
    assert run.drops == ["out_of_order", "duplicate"]
    assert run.jumps == []


@pytest.mark.parametrize("slop", [0.0, 0.01])
def test_negative_stamp_is_refused_and_locks_nothing(module: ModuleType, slop: float) -> None:
    run = Recorder(module, slop=slop)
    stamp = SimpleNamespace(sec=-5, nanosec=0)
    run.pairing.add("a", SimpleNamespace(header=SimpleNamespace(stamp=stamp)))
    assert run.drops == ["negative_stamp"]
    assert run.feed(("a", 1), ("b", 1)).sets == [(1, 1)]


@pytest.mark.parametrize("slop", [0.0, 0.01])
def test_jump_back_starts_anew(module: ModuleType, slop: float) -> None:
    run = Recorder(module, slop=slop)
    for start in (60_000, 0, 60_000, 30_000):
        for frame in range(5):
            run.feed(("a", start + 100 * frame), ("b", start + 100 * frame))
    assert [one[0] for one in run.sets] == [
        start + 100 * frame for start in (60_000, 0, 60_000, 30_000) for frame in range(5)
    ]
    assert run.jumps == pytest.approx([60.4, 30.4])


def test_small_jump_back_is_noticed_after_some_frames(module: ModuleType) -> None:
    run = Recorder(module, jump_back=5.0)
    run.feed(*((name, 100.0 * frame) for frame in range(10) for name in "ab"))
    run.feed(*((name, 100.0 * frame) for frame in range(10) for name in "ab"))
    assert len(run.jumps) == 1
    assert run.sets[-1] == (900, 900) and len(run.sets) >= 17


def test_two_late_messages_in_a_row_are_late_and_three_are_a_jump(module: ModuleType) -> None:
    run = Recorder(module, jump_back=5.0)
    run.feed(*((name, 100.0 * frame) for frame in range(10) for name in "ab"))
    run.feed(("a", 600), ("b", 600), ("a", 650), ("b", 650))
    assert run.jumps == [] and len(run.sets) == 10
    run.feed(("a", 1000), ("b", 1000), ("a", 700), ("b", 700), ("a", 750), ("b", 750))
    assert run.jumps == [] and run.sets[-1] == (1000, 1000)  # one in order: the count begins anew
    run.feed(("a", 800))
    assert run.jumps == pytest.approx([0.2])


def test_changed_slop_takes_effect(module: ModuleType) -> None:
    run = Recorder(module)
    assert run.feed(("a", 0), ("b", 4)).sets == []
    run.pairing.set_slop(0.005)
    assert run.feed(("a", 100), ("b", 104)).sets == [(100, 104)]


def test_exception_in_the_receiver_does_not_lock_the_synchroniser(module: ModuleType) -> None:
    run = Recorder(module)
    good = run.pairing._on_set

    def bad(_: Any) -> None:
        raise RuntimeError("receiver")

    run.pairing._on_set = bad
    with pytest.raises(RuntimeError, match="receiver"):
        run.feed(("a", 0), ("b", 0))
    run.pairing._on_set = good
    assert run.feed(("a", 1), ("b", 1)).sets == [(1, 1)]


def test_the_original_is_preferred_where_it_imports() -> None:
    try:
        original = importlib.import_module("message_filters")
    except ImportError:
        original = message_filters_fallback
    assert filters_module() is original
