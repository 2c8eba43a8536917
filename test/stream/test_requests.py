"""A request is answered once, with a reason for everything that can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from msga_ros.frontend.base import FrontendError
from msga_ros.frontend.from_arrays import ArraysError
from msga_ros.geometry.camera import CameraError
from msga_ros.stream.errors import BadInput
from msga_ros.stream.request_counts import RequestCounts
from msga_ros.stream.requests import Answer, Code, Request, time_limit

OUTCOME: Any = object()  # a request only hands it on


class Asked:
    """A request with a clock that is set by hand, and what became of it."""

    def __init__(self, work: Callable[[], Generator[None, None, Any]], deadline: float = 1.0):
        self.now = 0.0
        self.answers: list[Answer] = []
        self.exceptions: list[Exception] = []
        self.request = Request(
            work,
            self.answers.append,
            deadline,
            Answer(Code.NOT_ACTIVE, "gone"),
            self.exceptions.append,
            clock=lambda: self.now,
        )


def in_steps(steps: int) -> Generator[None, None, Any]:
    for _ in range(steps):
        yield
    return OUTCOME


def test_the_answer_comes_after_the_last_step() -> None:
    asked = Asked(lambda: in_steps(2))
    assert [asked.request.advance() for _ in range(3)] == [True, True, False]
    assert asked.answers == [Answer(Code.ANSWERED, "", outcome=OUTCOME)]
    asked.request.drop()
    asked.request.refuse(Answer(Code.FAILED, ""))
    assert len(asked.answers) == 1


def test_work_begins_when_its_turn_comes() -> None:
    """So that the parameters are those in force then."""
    begun: list[float] = []

    def work() -> Generator[None, None, Any]:
        begun.append(asked.now)
        return in_steps(1)

    asked = Asked(work)
    assert begun == []
    asked.now = 0.5
    assert asked.request.advance()
    assert begun == [0.5]


def test_no_step_is_begun_after_the_deadline() -> None:
    asked = Asked(lambda: in_steps(2))
    assert asked.request.advance()
    asked.now = 1.5
    assert not asked.request.advance()
    (answer,) = asked.answers
    assert answer.code is Code.DEADLINE_PASSED and answer.outcome is None
    assert answer.label == "deadline_passed"


def test_what_is_thrown_away_is_answered() -> None:
    asked = Asked(lambda: in_steps(2))
    asked.request.advance()
    asked.request.drop()
    assert asked.answers == [Answer(Code.NOT_ACTIVE, "gone")]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadInput("encoding", "unknown", "reference"), "encoding"),
        (ArraysError("evidence", "bad"), "evidence"),
        (CameraError("zeros"), "camera_info"),
        (FrontendError("of two kinds"), "descriptors"),
    ],
)
def test_bad_input_is_named(error: Exception, kind: str) -> None:
    def work() -> Generator[None, None, Any]:
        yield
        raise error

    asked = Asked(work)
    assert asked.request.advance() and not asked.request.advance()
    assert asked.answers == [Answer(Code.BAD_INPUT, str(error), kind)]
    assert asked.answers[0].label == kind and asked.exceptions == []


@pytest.mark.parametrize("error", [RuntimeError("odd"), ValueError("odd"), StopIteration()])
def test_what_nobody_foresaw_is_an_answer_and_is_reported(error: Exception) -> None:
    def work() -> Generator[None, None, Any]:
        if not isinstance(error, StopIteration):
            raise error
        next(iter(()))
        yield

    asked = Asked(work)
    assert not asked.request.advance()
    (answer,) = asked.answers
    assert answer.code is Code.FAILED and answer.outcome is None
    assert len(asked.exceptions) == 1 and type(asked.exceptions[0]).__name__ in answer.reason


def test_time_limits() -> None:
    assert time_limit(0.0, 5.0) == 5.0
    assert time_limit(0.25, 5.0) == 0.25
    assert time_limit(3600.0, 5.0) == 3600.0
    for wrong in (-1.0, float("nan"), float("inf"), 3601.0):
        with pytest.raises(BadInput) as refused:
            time_limit(wrong, 5.0)
        assert refused.value.kind == "timeout"


def test_counts() -> None:
    counts = RequestCounts()
    assert counts.snapshot() == {}
    for _ in range(5):
        counts.asked("a")
    counts.answered("a", 0.1)
    counts.answered("a", 0.3)
    counts.refused("a", "queue_full")
    counts.asked("b")
    now = counts.snapshot()
    assert list(now) == ["a", "b"]
    assert (now["a"].asked, now["a"].answered, now["a"].waiting) == (5, 2, 2)
    assert now["a"].refused == {"queue_full": 1} and now["a"].median_ms == pytest.approx(200.0)
    assert now["b"].median_ms != now["b"].median_ms and now["b"].waiting == 1
