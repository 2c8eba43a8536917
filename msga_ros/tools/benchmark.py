"""Measures the node from the outside: in a process of its own, over real DDS, frame by frame.

What is measured is what a robot would see: a frame goes out with its stamp, a pose comes back. The
node's own diagnostics say where the time went and what it dropped.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msga_ros.stream.message_set import INPUTS
from msga_ros.tools.benchmark_figures import (
    ODOMETRY,
    OUTPUTS,
    OutputFigures,
    Run,
    percentiles,
    stage_medians,
)
from msga_ros.tools.benchmark_usage import Usage, machine_cpu_seconds
from msga_ros.tools.child_environment import own_context, ros_environment
from msga_ros.tools.child_processes import Child, interrupts, parameter_arguments
from msga_ros.tools.frame_account import Account, Counters

if TYPE_CHECKING:
    from msga_ros.tools.benchmark_link import Link

# Rendered before the clock starts, then played forwards and backwards.
_FRAMES = 24
_START_LIMIT = 120.0  # seconds; a first start reads much from the disk
_WARM_UP_POSES = 5
_QUIET_LIMIT = 30.0  # seconds for the node to finish what it has
_DIAGNOSTICS_PERIOD = 0.5


class BenchmarkError(ValueError):
    """The node could not be measured; the message is one line."""


@dataclass(frozen=True)
class BenchmarkOptions:
    """What is sent and how the node is set. Raises `BenchmarkError`."""

    mode: str = "stereo"  # stereo, temporal or rgbd
    frontend: str = "orb"
    keypoints: int = 1000
    rate: float = 10.0  # frames a second
    seconds: float = 10.0  # of sending, for each size
    weights: str = ""  # empty: the packaged ones
    parameters: Mapping[str, object] = field(default_factory=dict)  # more of the node's
    listen: tuple[str, ...] = ()  # outputs of `OUTPUTS` that are listened to besides the pose
    domain_id: int | None = None  # None: one of its own

    def __post_init__(self) -> None:
        if self.mode not in INPUTS:
            raise BenchmarkError(f"mode must be one of {', '.join(INPUTS)}, not {self.mode!r}")
        unknown = sorted({*self.listen} - {*OUTPUTS})
        if unknown:
            offered = ", ".join(OUTPUTS)
            raise BenchmarkError(f"no output {unknown[0]!r} to listen to, only {offered}")
        if self.mode == "temporal" and ODOMETRY in self.listen:
            raise BenchmarkError("mode temporal has no odometry to listen to")

    @property
    def node_parameters(self) -> dict[str, object]:
        """Parameters that the node is started with."""
        return {
            "mode": self.mode,
            "frontend.name": self.frontend,
            "frontend.max_keypoints": self.keypoints,
            "network.weights": self.weights,
            "publish.diagnostics_period": _DIAGNOSTICS_PERIOD,
            **self.parameters,
        }


def measure(options: BenchmarkOptions, size: tuple[int, int], say: Callable[[str], None]) -> Run:
    """Start the node, send it frames of `size` (width, height), end it; what was measured.

    `say` gets a line of progress. Raises `BenchmarkError` where the node does not come up, fails,
    or gives no pose at all; `KeyboardInterrupt` after SIGINT or SIGTERM, with the node ended;
    `ImportError` without ROS.
    """
    from msga_ros.tools.benchmark_frames import frames_for, rendered_frames, there_and_back

    count = frames_for(options.rate, _FRAMES)
    say(f"rendering {count} frames of {size[0]}x{size[1]}")
    frames = there_and_back(rendered_frames(options.mode, size, count, options.rate))
    environment = ros_environment(options.domain_id)
    with (
        tempfile.TemporaryDirectory(prefix="msga_bench_") as folder,
        interrupts() as interrupted,
        _link(options, environment) as (link, spin),
    ):
        arguments = parameter_arguments(options.node_parameters)
        log = Path(folder) / "node.log"
        begun = time.monotonic()
        with Child("msga_ros.node", arguments, log, environment) as node:
            say("waiting for the node")
            session = Session(link, spin, node, frames, interrupted, begun)
            session.warm_up()
            say(f"sending {options.rate:g} frames a second for {options.seconds:g} s")
            return session.measure(options, size)


@dataclass
class Session:
    """One node under measurement. Raises `BenchmarkError` where it does not do what it should."""

    link: Link
    spin: Callable[[float], None]
    node: Child
    frames: Iterator[Mapping[str, object]]
    interrupted: threading.Event
    begun: float  # `time.monotonic` when the node's process was started
    start_seconds: float = float("nan")
    start_cpu_seconds: float = float("nan")

    def warm_up(self) -> None:
        """Until the node is connected, gives poses and all else that is listened to, and has
        nothing left to do."""
        self._wait(lambda: self.link.connected, _START_LIMIT, "the node did not come up")
        self.start_seconds = time.monotonic() - self.begun
        self.start_cpu_seconds = Usage.of(self.node.pid).cpu_seconds
        end = time.monotonic() + _START_LIMIT
        while len(self.link.poses) < _WARM_UP_POSES or self._silent():
            if time.monotonic() > end:
                complaint = self.link.values("input").get("last_bad_input", "no complaint")
                missing = ", ".join(self._silent()) or f"{_WARM_UP_POSES} poses"
                raise BenchmarkError(f"no {missing} in {_START_LIMIT:.0f} s: {complaint}")
            self.link.send(next(self.frames))
            seen, pause = len(self.link.poses), time.monotonic() + 1.0
            while len(self.link.poses) == seen and time.monotonic() < pause:
                self._spin(0.05)
        self._settle()

    def _silent(self) -> list[str]:
        """The outputs on which nothing has come yet."""
        return [name for name, arrivals in self.link.arrivals.items() if not arrivals]

    def measure(self, options: BenchmarkOptions, size: tuple[int, int]) -> Run:
        """Send at the rate asked for, then wait for the last pose, and count."""
        link, pid = self.link, self.node.pid
        counted_before, poses_before = link.counters, len(link.poses)
        usage_before, bench_before = Usage.of(pid), time.process_time()
        machine_before, started = machine_cpu_seconds(), time.monotonic()
        first = link.get_clock().now().nanoseconds
        sent = self._send(options.rate, max(round(options.rate * options.seconds), 1))
        usage, bench, machine = Usage.of(pid), time.process_time(), machine_cpu_seconds()
        seconds = time.monotonic() - started
        self._settle()
        usage_end, counted = Usage.of(pid), link.counters.since(counted_before)
        later = {
            name: [one.latency for one in came if one.stamp >= first]
            for name, came in link.arrivals.items()
        }
        arrivals = [one for one in link.poses[poses_before:] if one.stamp >= first]
        median, p99 = percentiles([1e3 * one.latency for one in arrivals], 50, 99)
        node_cpu = (usage.cpu_seconds - usage_before.cpu_seconds) / seconds
        bench_cpu = (bench - bench_before) / seconds
        used = usage_end.cpu_seconds - usage_before.cpu_seconds
        return Run(
            width=size[0],
            height=size[1],
            asked_rate=options.rate,
            seconds=seconds,
            account=Account.of(sent, len(arrivals), counted),
            sent_rate=sent / seconds,
            pose_rate=_rate([one.stamp * 1e-9 + one.latency for one in arrivals]),
            latency_median_ms=median,
            latency_p99_ms=p99,
            stages=stage_medians(link.values("processing"), median),
            ok=sum(one.ok for one in arrivals),
            cpu_node=node_cpu,
            cpu_ms_per_set=1e3 * used / counted.processed if counted.processed else float("nan"),
            cpu_bench=bench_cpu,
            cpu_others=max((machine - machine_before) / seconds - node_cpu - bench_cpu, 0.0),
            memory_mb=usage_end.memory_mb,
            memory_peak_mb=usage_end.memory_peak_mb,
            threads=usage_end.threads,
            start_seconds=self.start_seconds,
            start_cpu_seconds=self.start_cpu_seconds,
            outputs={name: OutputFigures.of(one, options.rate) for name, one in later.items()},
        )

    def _send(self, rate: float, count: int) -> int:
        due = time.monotonic()
        for _ in range(count):
            while (left := due - time.monotonic()) > 0:
                self._spin(left)
            self.link.send(next(self.frames))
            # After a pause of our own no burst to make up for it: a camera would not do that.
            due = max(due + 1.0 / rate, time.monotonic())
        while (left := due - time.monotonic()) > 0:
            self._spin(left)
        return count

    def _settle(self) -> None:
        """Until diagnostics that were made from now on say that nothing is left to do."""
        seen = self.link.diagnostics
        last: tuple[Counters, int] | None = None

        def quiet() -> bool:
            nonlocal seen, last
            if self.link.diagnostics < seen + 2:
                return False
            now = (self.link.counters, sum(map(len, self.link.arrivals.values())))
            unchanged, last, seen = now == last, now, self.link.diagnostics
            return unchanged and now[0].settled

        self._wait(quiet, _QUIET_LIMIT, "the node did not finish")

    def _wait(self, done: Callable[[], bool], limit: float, what: str) -> None:
        end = time.monotonic() + limit
        while not done():
            if time.monotonic() > end:
                raise BenchmarkError(f"{what} in {limit:.0f} s: {self.node.last_lines(3)}")
            self._spin(0.05)

    def _spin(self, seconds: float) -> None:
        self.spin(seconds)
        if self.interrupted.is_set():
            raise KeyboardInterrupt
        if self.node.exit_code is not None:
            raise BenchmarkError(
                f"the node ended ({self.node.exit_code}): {self.node.last_lines(3)}"
            )
        if self.link.problem:
            raise BenchmarkError(f"the node reports: {self.link.problem}")


def _link(
    options: BenchmarkOptions, environment: Mapping[str, str]
) -> AbstractContextManager[tuple[Link, Callable[[float], None]]]:
    """The benchmark's own node in a context of its own, and what lets it work for some seconds."""
    from msga_ros.tools.benchmark_link import Link

    return own_context(partial(Link, options.mode, options.listen), environment)


def _rate(times: list[float]) -> float:
    span = max(times) - min(times) if len(times) > 1 else 0.0
    return (len(times) - 1) / span if span > 0 else float("nan")
