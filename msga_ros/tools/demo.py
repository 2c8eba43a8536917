"""The demo behind `msga demo`: player and node in processes of their own, over real DDS.

What the node publishes is compared with the truth that the player publishes; a table shows it
live, a short summary and pictures of matches stay. No ROS is imported before it is known to be
there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
from rich.console import Console

from msga_ros.datasets.sequences.base import SequenceError
from msga_ros.datasets.sequences.source import SYNTHETIC, open_sequence
from msga_ros.stream.message_set import INPUTS
from msga_ros.tools.child_environment import SET_UP_HINT, missing_ros, own_context, ros_environment
from msga_ros.tools.child_processes import Child, interrupts, parameter_arguments
from msga_ros.tools.demo_statistics import DemoStatistics
from msga_ros.tools.demo_table import Display, summary_lines
from msga_ros.two_view.drawing import draw_before_after

if TYPE_CHECKING:
    from msga_ros.tools.demo_monitor import Monitor

OK, NO_POSE, NOT_SET_UP, BAD_SOURCE, INTERRUPTED = 0, 1, 2, 3, 130

_START_LIMIT = 120.0  # seconds until the node takes frames; a first start reads much from the disk
_SILENCE_LIMIT = 30.0  # seconds to wait for another pose after the last frame
_DIAGNOSTICS_PERIOD = 0.5
_POLL = 0.05  # seconds that the listening node works between two looks at everything else


class DemoError(RuntimeError):
    """The demo cannot go on; the message is one clear line."""


@dataclass(frozen=True)
class DemoOptions:
    """What is played and how it is processed."""

    mode: str = "stereo"  # stereo, temporal or rgbd
    source: str = SYNTHETIC  # or a folder with scene.json, or a video (mode temporal)
    frames: int = 75  # 0: all that the source has
    rate: float = 3.0  # frames a second; 0: as the source was taken
    frontend: str = "sift"
    keypoints: int = 1000  # strongest kept in each view: what two cores can do at this rate
    output: Path = Path("demo_output")  # logs and pictures; made if it is not there
    parameters: Mapping[str, object] = field(default_factory=dict)  # more of the node's
    domain_id: int | None = None  # None: one of its own


def run(options: DemoOptions | None = None, console: Console | None = None) -> int:
    """Run the demo; the exit code.

    0: poses were published; 1: none with status OK was, or a process failed; 2: ROS or the messages
    are missing; 3: the source cannot be played; 130: interrupted. The processes that were started
    are ended in every case.
    """
    options = options or DemoOptions()
    console = console or Console()
    missing = missing_ros()
    if missing:
        console.print(f"msga demo: {missing}: {SET_UP_HINT}", highlight=False, soft_wrap=True)
        return NOT_SET_UP
    try:
        source, frames = _check_source(options)
    except SequenceError as error:
        console.print(f"msga demo: {error}", highlight=False, markup=False, soft_wrap=True)
        return BAD_SOURCE
    try:
        with interrupts() as interrupted:
            return _run(options, source, frames, interrupted, console)
    except DemoError as error:
        console.print(f"msga demo: {error}", highlight=False, markup=False, soft_wrap=True)
        return NO_POSE
    except KeyboardInterrupt:
        console.print("msga demo: interrupted")
        return INTERRUPTED


def _check_source(options: DemoOptions) -> tuple[str, int]:
    """The source as an absolute path (processes may start elsewhere), and the frames to come."""
    if options.mode not in INPUTS:
        raise SequenceError(f"mode must be one of {', '.join(INPUTS)}, not {options.mode!r}")
    stereo, depth = options.mode == "stereo", options.mode == "rgbd"
    sequence = open_sequence(options.source, stereo, frames=options.frames, depth=depth)
    length = min(len(sequence), options.frames) if options.frames > 0 else len(sequence)
    if options.source == SYNTHETIC:
        return SYNTHETIC, length
    return str(Path(options.source).expanduser().resolve()), length


def _run(
    options: DemoOptions, source: str, frames: int, interrupted: threading.Event, console: Console
) -> int:
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    environment = ros_environment(options.domain_id)
    node_parameters = {
        "mode": options.mode,
        "frontend.name": options.frontend,
        "frontend.max_keypoints": options.keypoints,
        "publish.diagnostics_period": _DIAGNOSTICS_PERIOD,
        "odometry.run": "never",  # it would cost as much again, and nothing here shows it
        **options.parameters,
    }
    player_parameters = {
        "source": source,
        "mode": options.mode,
        "rate": float(options.rate),
        "frames": options.frames,
        "wait_for_subscribers": 2.0 * _START_LIMIT,
        "wait_for_sent": True,  # the monitor counts the frames once the node knows of it
    }
    title = f"msga demo: {options.mode}, {options.frontend}, {Path(source).name}"
    console.print(
        f"{title} (ROS_DOMAIN_ID={environment['ROS_DOMAIN_ID']}, logs in {output})", soft_wrap=True
    )
    with ExitStack() as stack:
        monitor, spin = stack.enter_context(_monitor(options.mode == "stereo", environment))
        display = stack.enter_context(Display(console, title, frames))
        node = stack.enter_context(
            _child("msga_ros.node", node_parameters, output / "node.log", environment)
        )
        player = stack.enter_context(
            _child("msga_ros.tools.player", player_parameters, output / "player.log", environment)
        )
        _watch(monitor, spin, node, player, interrupted, display)
    return _conclude(monitor, options, output, console)


def _child(module: str, parameters: Mapping[str, object], log: Path, env: dict[str, str]) -> Child:
    return Child(module, parameter_arguments(parameters), log, env)


def _monitor(
    stereo: bool, environment: Mapping[str, str]
) -> AbstractContextManager[tuple[Monitor, Callable[[float], None]]]:
    """The listening node in a context of its own, and what lets it work for some seconds."""
    from msga_ros.tools.demo_monitor import Monitor

    return own_context(partial(Monitor, stereo), environment)


def _watch(
    monitor: Monitor,
    spin: Callable[[float], None],
    node: Child,
    player: Child,
    interrupted: threading.Event,
    display: Display,
) -> None:
    """Until the player has ended and the node has nothing left to do."""
    statistics: DemoStatistics = monitor.statistics
    start_by = time.monotonic() + _START_LIMIT
    seen: tuple[object, ...] = ()
    last_news, news_stamp = 0.0, 0
    while True:
        spin(_POLL)
        now = time.monotonic()
        if interrupted.is_set():
            raise KeyboardInterrupt
        _check_alive(statistics, node, player)
        if player.exit_code is None:
            if statistics.frames_sent == 0 and now > start_by:
                raise DemoError(f"the node took no frame within {_START_LIMIT:.0f} s")
            display.update(statistics, "running" if statistics.frames_sent else "starting")
            continue
        display.update(statistics, "finishing")
        news = (statistics.frames_sent, len(statistics.reports), statistics.counters)
        if news != seen:
            seen, last_news, news_stamp = news, now, time.time_ns()
        if statistics.settled_since(news_stamp) or now - last_news > _SILENCE_LIMIT:
            display.update(statistics, "done", force=True)
            return


def _check_alive(statistics: DemoStatistics, node: Child, player: Child) -> None:
    """`DemoError` where a process or the node inside it has given up."""
    if node.exit_code is not None:
        raise DemoError(f"the node ended ({node.exit_code}): {node.last_lines()}")
    if statistics.problem:
        raise DemoError(f"the node reports: {statistics.problem}")
    if player.exit_code not in (None, 0):
        raise DemoError(f"the player failed: {player.last_lines(3)}")


def _conclude(monitor: Monitor, options: DemoOptions, output: Path, console: Console) -> int:
    """Summary and pictures; the exit code."""
    summary = monitor.statistics.summary()
    for line in summary_lines(summary):
        console.print(line, highlight=False, soft_wrap=True)
    pictures = []
    if monitor.matches is not None:
        seen = monitor.matches
        picture = draw_before_after(seen.image0, seen.image1, seen)
        pictures.append((output / f"matches_{options.mode}.png", picture, "before and after"))
    if monitor.picture is not None:
        path = output / f"matches_image_{options.mode}.png"
        pictures.append((path, monitor.picture, "as the node drew them"))
    for path, pixels, what in pictures:
        if not cv2.imwrite(str(path), pixels):
            raise DemoError(f"{path} could not be written")
        console.print(f"matches, {what}: {path}", highlight=False, soft_wrap=True)
    if summary.poses == 0:
        raise DemoError(_why_no_pose(monitor.statistics, output))
    return OK


def _why_no_pose(statistics: DemoStatistics, output: Path) -> str:
    if not statistics.reports:
        reason = statistics.complaint or f"see {output / 'node.log'}"
        return f"no pose was published: {reason}"
    states = sorted({report.status for report in statistics.reports})
    return f"no pose was published with status OK, only {', '.join(states)}"
