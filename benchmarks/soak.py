"""Soak of the node: many small images through its own process, and what that does to it.

    make soak FRAMES=20000

In mode stereo, then in mode temporal: sends sets as fast as the node follows (the next one goes out
when the pose of the last has come), with a burst of four at once every 50 sets and a truncated
image every 100, so that there is something to drop. Every 1000 sets it waits until the node has
nothing left to do and reads the counters of its diagnostics, its memory, files and threads. Ctrl-C
or SIGTERM ends it early, with the tables of what there is. They go into `docs/reliability.md`.

Exit code 1 where a set is not accounted for, where memory grows, or where poses are not OK.
"""

from __future__ import annotations

import argparse
import copy
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "test")]

import cv2
from faults.report import put_section
from faults.resources import Resources
from msga_ros.msg import RelativePose
from node.harness import STEREO, TEMPORAL, NodeProcess, camera_info, header
from rclpy.qos import QoSProfile
from soak_figures import Account, Sample, memory_growth, memory_slope, row, table

from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence
from msga_ros.node.image_message import image_message

CHUNK = 1000
_STATUSES = {
    RelativePose.STATUS_OK: "OK",
    RelativePose.STATUS_TOO_FEW_MATCHES: "TOO_FEW_MATCHES",
    RelativePose.STATUS_DEGENERATE: "DEGENERATE",
}
BURST_EVERY, BURST = 50, 4
BAD_EVERY = 100
# Large enough that nearly every pose is OK: a soak of poses that fail would try half of the code.
SIZE, FOCAL = (320, 240), 240.0
MIN_OK = 0.9
MODES = {"stereo": STEREO, "temporal": TEMPORAL}
DROPS = ("superseded", "bad_input", "duplicate", "out_of_order", "negative_stamp", "error")
# Growth of the resident memory after the first tenth of the pairs, MB: over 1000 pairs, and over
# all of them (a few MB come and go, which makes a slope of a short run).
MAX_SLOPE, MAX_GROWTH = 1.0, 10.0


class Soak:
    """One run; iterate to get its samples."""

    def __init__(self, run: NodeProcess, mode: str, frames: int, chunk: int = CHUNK) -> None:
        self.mode = mode
        self._run = run
        self._frames = frames
        self._chunk = chunk
        self._sets = _sets(mode)
        self._sent = 0
        self._now = 1_800_000_000_000_000_000
        self._latencies: list[float] = []
        self._stop = False
        self.unanswered = 0
        self.statuses: Counter[str] = Counter()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def __iter__(self) -> Iterator[Sample]:
        before = Counter[str]()
        cpu, started = self._cpu(), time.monotonic()
        while self._sent < self._frames and not self._stop:
            goal = min(self._sent + self._chunk, self._frames)
            while self._sent < goal and not self._stop:
                self._step()
            counts = self._settled()
            now, used = time.monotonic(), self._cpu()
            done = max(counts["processed"] - before["processed"], 1)
            quantiles = np.percentile(self._latencies or [np.nan], [50, 95, 99])
            yield Sample(
                self._sent,
                counts["processed"],
                {reason: counts[reason] for reason in DROPS},
                Resources.of(self._pid),
                (float(quantiles[0]), float(quantiles[1]), float(quantiles[2])),
                1e3 * (used - cpu) / done,
                done / (now - started),
            )
            self._latencies.clear()
            poses = self._run.poses
            self.statuses.update(_STATUSES[one.status] for one in poses)
            for messages in self._run.messages.values():
                messages.clear()
            before, cpu, started = counts, self._cpu(), time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether somebody ended it."""
        return self._stop

    @property
    def share_ok(self) -> float:
        """Of the poses that came."""
        return self.statuses["OK"] / max(sum(self.statuses.values()), 1)

    @property
    def _pid(self) -> int:
        assert self._run.process is not None
        return self._run.process.pid

    def _step(self) -> None:
        """One set and its answer, a burst, or a truncated image."""
        if self._sent % BAD_EVERY == BAD_EVERY - 1:
            name = next(one for one in reversed(self._sets[0]) if one.endswith("image"))
            image = copy.copy(self._sets[0][name])
            image.data = image.data[:100]
            self._send({**self._sets[0], name: image})
            self._run.wait_for(lambda: True)
            return
        burst = BURST if self._sent % BURST_EVERY == 0 else 1
        burst = min(burst, self._frames - self._sent)
        first = self.mode == "temporal" and self._sent == 0
        for _ in range(burst):
            stamp = self._send(self._sets[self._sent % len(self._sets)])
            if first:  # it has no pose: wait until it is the reference
                self._run.wait_for(lambda: self._counts()["processed"] == 1, 15.0)
                return
        sent = time.monotonic()
        self._run.wait_for(lambda: self._answered(stamp) or time.monotonic() - sent > 5.0, 15.0)
        if not self._answered(stamp):
            self.unanswered += 1
        elif burst == 1:
            self._latencies.append(1e3 * (time.monotonic() - sent))

    def _answered(self, stamp: int) -> bool:
        return self._run.pose_of(stamp) is not None

    def _send(self, messages: dict[str, Any]) -> int:
        self._now += 50_000_000
        for message in messages.values():
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(self._now, 10**9)
        self._run.publish(messages)
        self._sent += 1
        return self._now

    def _settled(self) -> Counter[str]:
        """The counters of the node once it has nothing left to do, or after 10 s."""
        end = time.monotonic() + 10.0
        while True:
            counts = self._counts()
            done = counts["processed"] + sum(counts[reason] for reason in DROPS)
            if done == self._sent or time.monotonic() > end:
                return counts

    def _counts(self) -> Counter[str]:
        found = self._run.fresh_diagnostic("processing")
        counts = Counter({"processed": int(found["processed"])})
        for reason in DROPS:
            counts[reason] = int(found.get(f"dropped {reason}", 0))
        return counts

    def _cpu(self) -> float:
        """Seconds of processor time that the node has used."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _on_signal(self, *_: object) -> None:
        self._stop = True


def _sets(mode: str) -> list[dict[str, Any]]:
    """Sets of `mode`: a drive to and fro, so that the last frame is next to the first."""
    width, height = SIZE
    options = SyntheticOptions(frames=40, width=width, height=height, focal=FOCAL)
    sequence = SyntheticSequence(options)
    made = []
    # Over time, steps that tell their direction: every fifth frame.
    for frame in list(sequence)[:: 5 if mode == "temporal" else 1]:
        messages: dict[str, Any] = {}
        for side, pixels in frame.images.items():
            if mode == "temporal" and side != "left":
                continue
            prefix = "" if mode == "temporal" else f"{side}/"
            head = header(0, f"{side}_optical")
            grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
            baseline = sequence.options.baseline if side == "right" else 0.0
            messages[f"{prefix}image"] = image_message(grey, head)
            info = camera_info(frame.cameras[side].k, SIZE, head, baseline)
            messages[f"{prefix}camera_info"] = info
        made.append(messages)
    return made + made[-2:0:-1]


def soaked(mode: str, frames: int, keypoints: int) -> tuple[str, str, bool]:
    """The section about a mode, what went wrong ("" if nothing), and whether it was ended early."""
    inputs = MODES[mode]
    # Names of its own: another node on the same domain must not be heard.
    namespace = f"/soak{os.getpid()}"
    topics = {name: f"{namespace}/{name}" for name in inputs}
    parameters: dict[str, Any] = {
        "mode": mode,
        "frontend.name": "orb",
        "frontend.max_keypoints": keypoints,
        "publish.diagnostics_period": 0.5,
        # Reliable, so that what is lost is lost by the node and not on the way to it.
        **{f"qos_overrides.{t}.subscription.reliability": "reliable" for t in topics.values()},
    }
    samples: list[Sample] = []
    with NodeProcess(
        inputs,
        parameters,
        extra_arguments=["-r", f"__ns:={namespace}"],
        topics=topics,
        namespace=namespace,
        input_qos=QoSProfile(depth=20),
    ) as run:
        soak = Soak(run, mode, frames, min(CHUNK, max(frames // 5, 1)))
        for sample in soak:
            samples.append(sample)
            print(row(sample), flush=True)
        code = run.stop()
    problems = []
    if code != 0:
        problems.append(f"exit code {code}")
    if any(one.unaccounted for one in samples):
        problems.append("sets that are not accounted for")
    if memory_slope(samples) > MAX_SLOPE and memory_growth(samples) > MAX_GROWTH:
        problems.append(f"memory grows by {memory_slope(samples):.2f} MB for each 1000 sets")
    if soak.share_ok < MIN_OK:
        problems.append(f"only {100 * soak.share_ok:.0f} % of the poses are OK")
    account = Account(mode, SIZE, soak.unanswered, soak.statuses)
    return table(samples, account), "; ".join(problems), soak.stopped


def main() -> int:
    """Run the soak; 0 if everything is accounted for, poses are OK and memory stays flat."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000, help="sets, in each mode")
    parser.add_argument("--keypoints", type=int, default=400)
    parser.add_argument("--mode", choices=tuple(MODES), action="append", help="both if left out")
    parser.add_argument("--no-page", action="store_true", help="print the tables only")
    arguments = parser.parse_args()
    texts, failed = [], False
    for mode in arguments.mode or MODES:
        text, problem, stopped = soaked(mode, arguments.frames, arguments.keypoints)
        texts.append(text)
        print(text)
        if problem:
            print(f"soak of mode {mode} failed: {problem}", file=sys.stderr)
            failed = True
        if stopped:
            break
    if not arguments.no_page:
        put_section("soak", "\n\n".join(texts))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
