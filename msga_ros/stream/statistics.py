"""What the node counts and times; written by two threads, read by the diagnostics."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from msga_ros.stream.motion_report import MotionReport
from msga_ros.two_view.result import SecondOpinion

# Timings and rates are taken over so many frames and so many seconds at most.
_WINDOW_FRAMES = 100
_WINDOW_SECONDS = 10.0


@dataclass(frozen=True)
class SecondCounts:
    """How often a second front end was asked, stood by a pose, and failed; `problem`: why the last
    time, "" where it did not."""

    asked: int = 0
    answered: int = 0
    failed: int = 0
    problem: str = ""

    def after(self, opinion: SecondOpinion) -> SecondCounts:
        """The counts with one question more."""
        return SecondCounts(
            self.asked + 1,
            self.answered + opinion.stands,
            self.failed + bool(opinion.problem),
            opinion.problem,
        )


@dataclass(frozen=True)
class Snapshot:
    """The state of the counters at one moment; times in ms, ages in s."""

    received: Mapping[str, int]
    received_since_set: Mapping[str, int]
    sets: int
    processed: int
    dropped: Mapping[str, int]
    bad_input: Mapping[str, int]
    last_bad_input: tuple[float, str] | None  # age, text
    rate: float
    median_ms: Mapping[str, float]
    p99_ms: Mapping[str, float]
    inlier_ratio: float | None
    inliers: int | None
    last_status: str
    since_set: float  # since the last complete set, or since activation
    errors: Mapping[str, int]  # unexpected exceptions by place
    last_error: tuple[float, str] | None  # age, text
    unwanted: int  # complete sets that came while there was no subscriber
    motion: MotionReport | None = None  # of the last stereo pair
    second: SecondCounts = SecondCounts()


@dataclass
class _Recent:
    times: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW_FRAMES))
    stages: dict[str, deque[float]] = field(default_factory=dict)


class Statistics:
    """Counters of frames, sets, drops and faults, and timings of the stages."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._received: Counter[str] = Counter()
        self._since_set: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._bad: Counter[str] = Counter()
        self._last_bad: tuple[float, str] | None = None
        self._sets = 0
        self._processed = 0
        self._errors: Counter[str] = Counter()
        self._last_error: tuple[float, str] | None = None
        self._unwanted = 0
        self._recent = _Recent()
        self._inliers: tuple[int, float] | None = None
        self._status = ""
        self._motion: MotionReport | None = None
        self._second = SecondCounts()
        self._last_set = clock()

    def activated(self, topics: Iterable[str] = ()) -> None:
        """Count what comes on `topics`, and the time without a set, from now on."""
        with self._lock:
            self._received.update(dict.fromkeys(topics, 0))  # one on which nothing comes is known
            self._last_set = self._clock()
            self._since_set.clear()
            self._last_bad = None

    def received(self, topic: str) -> None:
        """A message arrived on `topic`."""
        with self._lock:
            self._received[topic] += 1
            self._since_set[topic] += 1

    def complete_set(self) -> None:
        """A set of messages was complete and new."""
        with self._lock:
            self._sets += 1
            self._last_set = self._clock()
            self._since_set.clear()

    def dropped(self, reason: str) -> None:
        """A complete set was thrown away, and why."""
        with self._lock:
            self._dropped[reason] += 1

    def unwanted(self) -> None:
        """A complete set came while there was no subscriber; it does not count as dropped."""
        with self._lock:
            self._unwanted += 1

    def bad_input(self, kind: str, text: str) -> None:
        """A message could not be used as it should."""
        with self._lock:
            self._bad[kind] += 1
            self._last_bad = (self._clock(), text)

    def error(self, place: str, text: str) -> None:
        """Something in `place` ended with an unexpected exception."""
        with self._lock:
            self._errors[place] += 1
            self._last_error = (self._clock(), f"{place}: {text}")

    def processed(self, timings_ms: Mapping[str, float]) -> None:
        """A set went through, with the time that every stage took."""
        with self._lock:
            self._processed += 1
            self._recent.times.append(self._clock())
            for stage, value in timings_ms.items():
                window = self._recent.stages.setdefault(stage, deque(maxlen=_WINDOW_FRAMES))
                window.append(value)

    def result(
        self, status: str, inliers: int, matched: int, second: SecondOpinion | None = None
    ) -> None:
        """What the last two-view result said; `second`: that another front end was asked for it."""
        with self._lock:
            self._status = status
            self._inliers = (inliers, inliers / matched if matched else 0.0)
            if second is not None:
                self._second = self._second.after(second)

    def motion(self, report: MotionReport) -> None:
        """The last stereo pair: motion and rig."""
        with self._lock:
            self._motion = report

    def snapshot(self) -> Snapshot:
        """Everything at once."""
        with self._lock:
            now = self._clock()
            stages = {name: np.array(values) for name, values in self._recent.stages.items()}
            last_bad, last_error = self._last_bad, self._last_error
            return Snapshot(
                received=dict(self._received),
                received_since_set=dict(self._since_set),
                sets=self._sets,
                processed=self._processed,
                dropped=dict(self._dropped),
                bad_input=dict(self._bad),
                last_bad_input=None if last_bad is None else (now - last_bad[0], last_bad[1]),
                rate=_rate(self._recent.times, now),
                median_ms={name: float(np.median(values)) for name, values in stages.items()},
                p99_ms={name: float(np.percentile(values, 99)) for name, values in stages.items()},
                inlier_ratio=None if self._inliers is None else self._inliers[1],
                inliers=None if self._inliers is None else self._inliers[0],
                last_status=self._status,
                since_set=now - self._last_set,
                errors=dict(self._errors),
                last_error=None if last_error is None else (now - last_error[0], last_error[1]),
                unwanted=self._unwanted,
                motion=self._motion,
                second=self._second,
            )


def _rate(times: deque[float], now: float) -> float:
    recent = [one for one in times if now - one <= _WINDOW_SECONDS]
    if len(recent) < 2:
        return 0.0
    # A node that has stopped must not go on showing its old rate.
    span = max(recent[-1] - recent[0], now - recent[0] - 1.0)
    return (len(recent) - 1) / span if span > 0 else 0.0


class Throttle:
    """Lets a message of one key through at most once in `period` seconds, and counts the rest.

    rclpy's own throttle is bound to the line of code, so that the first topic in trouble would
    silence the second.
    """

    def __init__(self, period: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._period = period
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._suppressed: Counter[str] = Counter()

    def admit(self, key: str) -> int | None:
        """None: be silent. Otherwise the number of messages that were silenced before."""
        with self._lock:
            now = self._clock()
            last = self._last.get(key)
            if last is not None and now - last < self._period:
                self._suppressed[key] += 1
                return None
            self._last[key] = now
            return self._suppressed.pop(key, 0)
