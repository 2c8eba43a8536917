"""The mailbox of one and the thread behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from msga_ros.stream.mailbox import Mailbox
from msga_ros.stream.worker import Worker


class Bench:
    """A worker whose work waits for a go, and everything it says."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.dropped: list[int] = []
        self.errors: list[tuple[int, Exception]] = []
        self.go = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.worker: Worker[int] = Worker(
            self._process,
            self.dropped.append,
            lambda item, error: self.errors.append((item, error)),
        )

    def _process(self, item: int) -> None:
        self.begun.release()
        assert self.go.acquire(timeout=10)
        if item < 0:
            raise ValueError(f"item {item}")
        self.done.append(item)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_newest_item_wins_and_the_others_are_counted(bench: Bench) -> None:
    bench.worker.put(1)
    assert bench.begun.acquire(timeout=10)
    for item in (2, 3, 4):
        bench.worker.put(item)
    assert bench.dropped == [2, 3]
    bench.go.release(2)
    assert bench.begun.acquire(timeout=10)
    assert bench.worker.drain(10)
    assert bench.done == [1, 4]
    assert bench.worker.stop(10)


def test_put_does_not_wait_for_the_work(bench: Bench) -> None:
    for item in range(1000):
        bench.worker.put(item)  # the work has no go: a put that waited would hang here
    bench.go.release(1000)
    assert bench.worker.stop(10)
    assert sorted(bench.done + bench.dropped) == list(range(1000))


def test_an_exception_does_not_end_the_thread(bench: Bench) -> None:
    bench.go.release(2)
    bench.worker.put(-1)
    assert bench.begun.acquire(timeout=10)
    assert bench.worker.drain(10)
    bench.worker.put(5)
    assert bench.begun.acquire(timeout=10)
    assert bench.worker.stop(10)
    assert [(item, str(error)) for item, error in bench.errors] == [(-1, "item -1")]
    assert bench.done == [5]


@pytest.mark.parametrize("end", [lambda w: w.drain(10), lambda w: w.stop(10)])
def test_the_item_in_hand_is_finished_and_the_waiting_one_dropped(
    bench: Bench, end: Callable[[Worker[int]], bool]
) -> None:
    bench.worker.put(1)
    assert bench.begun.acquire(timeout=10)
    bench.worker.put(2)
    timer = threading.Timer(0.05, bench.go.release)
    timer.start()
    assert end(bench.worker)
    assert bench.done == [1]
    assert bench.dropped == [2]
    bench.worker.stop(10)


def test_drain_says_when_patience_runs_out(bench: Bench) -> None:
    bench.worker.put(1)
    assert bench.begun.acquire(timeout=10)
    assert not bench.worker.drain(0.01)
    bench.go.release()
    assert bench.worker.drain(10)
    assert bench.worker.stop(10)


def test_a_stopped_worker_takes_nothing_more(bench: Bench) -> None:
    assert bench.worker.stop(10)
    bench.worker.put(7)
    assert bench.dropped == [7]
    assert bench.done == []


def test_mailbox_hands_out_an_item_once() -> None:
    mailbox: Mailbox[str] = Mailbox()
    assert mailbox.put("a") is None
    assert mailbox.put("b") == "a"
    assert mailbox.take() == "b"
    assert mailbox.take(timeout=0.01) is None
    mailbox.close()
    assert mailbox.put("c") == "c"
    assert mailbox.take() is None
