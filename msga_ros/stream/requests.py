"""Requests to the node: each is processed step by step, and answered once."""

from __future__ import annotations

import enum
import math
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

from msga_ros.frontend.base import FrontendError
from msga_ros.frontend.from_arrays import ArraysError
from msga_ros.geometry.camera import CameraError
from msga_ros.stream.errors import BadInput
from msga_ros.stream.processor import Outcome

_LONGEST = 3600.0  # s that a request may have

Result = TypeVar("Result")  # of the work
Steps = Generator[None, None, Outcome]  # of two views


class Code(enum.IntEnum):
    """What became of a request; the numbers of `RequestStatus.msg`."""

    ANSWERED = 0
    BAD_INPUT = 1
    NOT_ACTIVE = 2
    QUEUE_FULL = 3
    DEADLINE_PASSED = 4
    FAILED = 5


@dataclass(frozen=True)
class Answer(Generic[Result]):
    """`outcome` is there where `code` is ANSWERED. `kind`: which bad input; `reason`: in words."""

    code: Code
    reason: str
    kind: str = ""
    outcome: Result | None = None

    @property
    def label(self) -> str:
        """What it is counted as where it is a refusal."""
        return self.kind or self.code.name.lower()


class Request(Generic[Result]):
    """One request. The worker calls `advance` until it is answered, unless `refuse` comes before.

    `begin()` makes the steps of the work, when its turn comes. `answer` is called once, in the
    thread that knows the answer. `deadline`: by `clock`; a step is not begun after it. `dropped`:
    the answer where it is discarded before it was processed. `on_exception` gets exceptions that
    are no fault of the request.
    """

    def __init__(
        self,
        begin: Callable[[], Generator[None, None, Result]],
        answer: Callable[[Answer[Result]], None],
        deadline: float,
        dropped: Answer[Result],
        on_exception: Callable[[Exception], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._begin = begin
        self._answer = answer
        self._deadline = deadline
        self._dropped = dropped
        self._on_exception = on_exception
        self._clock = clock
        self._steps: Generator[None, None, Result] | None = None
        self._lock = threading.Lock()
        self._is_answered = False

    def advance(self) -> bool:
        """Do the next step of the work; True where more is to be done."""
        if self._clock() > self._deadline:
            self.refuse(Answer(Code.DEADLINE_PASSED, "its time was over before it was worked"))
            return False
        try:
            if self._steps is None:
                self._steps = self._begin()
            next(self._steps)
        except StopIteration as end:
            self._finish(Answer(Code.ANSWERED, "", outcome=end.value))
            return False
        except Exception as error:
            self.refuse(self._refusal(error))
            return False
        return True

    def drop(self) -> None:
        """It will not be worked: say so."""
        self.refuse(self._dropped)

    def refuse(self, answer: Answer[Result]) -> None:
        """Answer without a result, unless it is answered already."""
        self._steps = None
        self._finish(answer)

    def _finish(self, answer: Answer[Result]) -> None:
        with self._lock:
            if self._is_answered:
                return
            self._is_answered = True
        self._answer(answer)

    def _refusal(self, error: Exception) -> Answer[Result]:
        if isinstance(error, (BadInput, ArraysError)):
            return Answer(Code.BAD_INPUT, str(error), error.kind)
        if isinstance(error, CameraError):
            return Answer(Code.BAD_INPUT, str(error), "camera_info")
        if isinstance(error, FrontendError):
            return Answer(Code.BAD_INPUT, str(error), "descriptors")
        self._on_exception(error)
        return Answer(Code.FAILED, f"{type(error).__name__}: {error}")


def time_limit(asked: float, default: float) -> float:
    """Seconds that a request has; 0 asks for the `default`. Raises `BadInput`."""
    if not (math.isfinite(asked) and 0.0 <= asked <= _LONGEST):
        raise BadInput("timeout", f"timeout must be 0 to {_LONGEST:.0f} s, not {asked}")
    return asked or default
