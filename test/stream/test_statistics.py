"""What the diagnostics say of latencies, rates and counts."""

from __future__ import annotations

import pytest

from msga_ros.stream.statistics import SecondCounts, Statistics, Throttle
from msga_ros.two_view.result import SecondOpinion


class Clock:
    """A time that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_slow_frame_in_fifty_is_the_p99_and_not_the_median() -> None:
    statistics = Statistics()
    for frame in range(100):
        statistics.processed({"total": 500.0 if frame % 50 == 7 else 20.0 + frame % 3})
    now = statistics.snapshot()
    assert now.median_ms["total"] == 21.0
    assert now.p99_ms["total"] > 400.0


def test_latencies_forget_the_frames_of_long_ago() -> None:
    statistics = Statistics()
    for value in (900.0, 30.0):
        for _ in range(100):
            statistics.processed({"total": value})
    now = statistics.snapshot()
    assert (now.median_ms["total"], now.p99_ms["total"]) == (30.0, 30.0)
    assert now.processed == 200


def test_the_rate_is_that_of_now() -> None:
    clock = Clock()
    statistics = Statistics(clock)
    assert statistics.snapshot().rate == 0.0
    for _ in range(31):
        clock.now += 0.1
        statistics.processed({})
    assert statistics.snapshot().rate == pytest.approx(10.0)
    clock.now += 6.0  # nothing for six seconds: 30 in eight, but for the first second of patience
    assert statistics.snapshot().rate == pytest.approx(30 / 8)
    clock.now += 60.0
    assert statistics.snapshot().rate == 0.0


def test_silence_begins_with_the_last_set_or_with_the_activation() -> None:
    clock = Clock()
    statistics = Statistics(clock)
    clock.now += 5.0
    statistics.received("left")
    assert statistics.snapshot().since_set == 5.0
    statistics.complete_set()
    clock.now += 2.0
    statistics.received("left")
    now = statistics.snapshot()
    assert now.since_set == 2.0
    assert (now.received, now.received_since_set) == ({"left": 2}, {"left": 1})
    statistics.activated(["left", "right"])
    assert statistics.snapshot().received == {"left": 2, "right": 0}
    assert statistics.snapshot().since_set == 0.0
    assert statistics.snapshot().received_since_set == {}


def test_the_last_complaint_ages() -> None:
    clock = Clock()
    statistics = Statistics(clock)
    assert statistics.snapshot().last_bad_input is None
    statistics.bad_input("encoding", "magic")
    clock.now += 3.0
    now = statistics.snapshot()
    assert now.last_bad_input == (3.0, "magic")
    assert now.bad_input == {"encoding": 1}


def test_exceptions_are_counted_by_place_and_the_last_one_ages() -> None:
    clock = Clock()
    statistics = Statistics(clock)
    assert statistics.snapshot().last_error is None
    for place in ("timer", "message callback", "timer"):
        statistics.error(place, "ValueError: no")
    clock.now += 4.0
    now = statistics.snapshot()
    assert now.errors == {"timer": 2, "message callback": 1}
    assert now.last_error == (4.0, "timer: ValueError: no")
    assert now.bad_input == {} and now.last_bad_input is None


def test_a_set_that_nobody_wanted_is_neither_processed_nor_dropped() -> None:
    statistics = Statistics(Clock())
    statistics.complete_set()
    statistics.unwanted()
    now = statistics.snapshot()
    assert (now.sets, now.unwanted, now.processed, now.dropped) == (1, 1, 0, {})


def test_a_throttle_counts_what_it_silences_for_each_key() -> None:
    clock = Clock()
    throttle = Throttle(5.0, clock)
    assert throttle.admit("left") == 0
    assert throttle.admit("right") == 0  # the first in trouble does not silence the second
    for _ in range(3):
        clock.now += 1.0
        assert throttle.admit("left") is None
    clock.now += 2.0
    assert throttle.admit("left") == 3
    clock.now += 5.0
    assert throttle.admit("left") == 0


def test_questions_to_a_second_front_end_are_counted() -> None:
    statistics = Statistics()
    assert statistics.snapshot().second == SecondCounts()
    statistics.result("OK", 80, 100)
    statistics.result("OK", 80, 100, SecondOpinion("other", stands=True))
    statistics.result("TOO_FEW_MATCHES", 0, 100, SecondOpinion("other", stands=False))
    failed = SecondOpinion("other", stands=False, problem="RuntimeError: no memory")
    statistics.result("TOO_FEW_MATCHES", 0, 100, failed)
    now = statistics.snapshot().second
    assert now == SecondCounts(asked=3, answered=1, failed=1, problem="RuntimeError: no memory")
    statistics.result("TOO_FEW_MATCHES", 0, 100, SecondOpinion("other", stands=False))
    assert statistics.snapshot().second == SecondCounts(asked=4, answered=1, failed=1)
