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


def test_streams_have_a_place_each_and_come_in_turn() -> None:
    mailbox: Mailbox[str] = Mailbox()
    assert mailbox.put("a1", "a") is None
    assert mailbox.put("b1", "b") is None
    assert mailbox.put("a2", "a") == "a1"
    assert mailbox.take() == "a2"  # first come, though renewed
    assert mailbox.put("a3", "a") is None
    assert [mailbox.take(), mailbox.take()] == ["b1", "a3"]


def test_a_frame_waits_for_one_request_and_a_request_for_one_frame() -> None:
    mailbox: Mailbox[str] = Mailbox(queue_size=10)
    for number in range(3):
        assert mailbox.queue(f"request {number}")
    taken = []
    for number in range(6):
        mailbox.put(f"frame {number}")  # the stream is always ahead
        taken.append(mailbox.take())
    assert taken == ["frame 0", "request 0", "frame 2", "request 1", "frame 4", "request 2"]
    assert mailbox.take() == "frame 5"


def test_requests_alone_come_in_order_and_no_more_than_have_room() -> None:
    mailbox: Mailbox[int] = Mailbox(queue_size=2)
    assert [mailbox.queue(number) for number in range(4)] == [True, True, False, False]
    assert mailbox.take() == 0
    assert mailbox.queue(4)
    assert mailbox.put_back(0)  # its next step comes before the others begin, whatever the room
    assert not mailbox.queue(5)
    assert [mailbox.take() for _ in range(3)] == [0, 1, 4]
    assert not Mailbox().queue(0)


def test_nothing_comes_back_after_it_was_cleared() -> None:
    mailbox: Mailbox[int] = Mailbox(queue_size=3)
    for number in range(3):
        mailbox.queue(number)
    mailbox.put(9)
    assert mailbox.take() == 9 and mailbox.take() == 0
    assert mailbox.clear() == [1, 2]
    assert not mailbox.put_back(0)
    mailbox.queue(3)
    assert mailbox.take() == 3 and mailbox.put_back(3)  # that was before
    assert mailbox.take() == 3
    assert mailbox.close() == []
    assert not mailbox.put_back(3) and not mailbox.queue(4)


def test_work_in_steps_lets_a_frame_in_between() -> None:
    done: list[str] = []
    steps = {"request": 3}
    begun, go = threading.Semaphore(0), threading.Semaphore(0)

    def process(item: str) -> bool:
        begun.release()
        assert go.acquire(timeout=10)
        done.append(item)
        steps[item] = steps.get(item, 1) - 1
        return steps[item] > 0

    dropped: list[str] = []
    worker: Worker[str] = Worker(process, dropped.append, lambda item, error: None, queue_size=1)
    assert worker.queue("request")
    assert begun.acquire(timeout=10)
    worker.put("frame")
    go.release(4)
    for _ in range(3):
        assert begun.acquire(timeout=10)
    assert worker.drain(10)
    assert done == ["request", "frame", "request", "request"]
    steps["request"] = 3
    assert worker.queue("request")
    assert begun.acquire(timeout=10)
    timer = threading.Timer(0.05, go.release)
    timer.start()
    assert worker.drain(10)  # while the first step is done; the others are not
    assert done[4:] == ["request"] and dropped == ["request"]
    assert worker.stop(10)


def test_a_stream_keeps_its_newest_and_gives_the_oldest_of_them_first() -> None:
    mailbox: Mailbox[int] = Mailbox(queue_size=1, depth=2)
    assert [mailbox.put(number) for number in (1, 2, 3)] == [None, None, 1]
    assert mailbox.put(10, "other") is None
    assert mailbox.queue(100)
    # Streams in turn, and a request after an item of a stream.
    assert [mailbox.take(0) for _ in range(5)] == [2, 100, 10, 3, None]
    mailbox.put(4)
    mailbox.put(5)
    assert mailbox.clear() == [4, 5]
