"""Soak of the node: many small stereo pairs through its own process, and what that does to it.

    make soak FRAMES=20000

Sends pairs as fast as the node follows (the next one goes out when the pose of the last has come),
with a burst of four at once every 50 pairs and a truncated image every 100, so that there is
something to drop. Every 1000 pairs it waits until the node has nothing left to do and reads the
counters of its diagnostics, its memory, files and threads. Ctrl-C or SIGTERM ends it early, with
the table of what there is. The table goes into `docs/reliability.md`.

Exit code 1 where a pair is not accounted for, or where memory grows.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "test")]

import cv2
from faults.report import put_section, where
from faults.resources import Resources
from msga_ros.msg import RelativePose
from node.harness import STEREO, NodeProcess, camera_info, header, image_message
from rclpy.qos import QoSProfile

from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence

CHUNK = 1000
_STATUSES = {
    RelativePose.STATUS_OK: "OK",
    RelativePose.STATUS_TOO_FEW_MATCHES: "TOO_FEW_MATCHES",
    RelativePose.STATUS_DEGENERATE: "DEGENERATE",
}
BURST_EVERY, BURST = 50, 4
BAD_EVERY = 100
DROPS = ("superseded", "bad_input", "duplicate", "out_of_order", "negative_stamp", "error")
# Growth of the resident memory after the first tenth of the pairs, MB: over 1000 pairs, and over
# all of them (a few MB come and go, which makes a slope of a short run).
MAX_SLOPE, MAX_GROWTH = 1.0, 10.0


@dataclass(frozen=True)
class Sample:
    """The state of the node after so many pairs; the times are those of the last chunk."""

    sent: int
    processed: int
    dropped: dict[str, int]
    resources: Resources
    latency_ms: tuple[float, float, float]  # median, 95 %, 99 %
    cpu_ms: float  # of the node for each pair processed
    rate: float

    @property
    def unaccounted(self) -> int:
        """Pairs of which the node says nothing."""
        return self.sent - self.processed - sum(self.dropped.values())


class Soak:
    """One run; iterate to get its samples."""

    def __init__(self, run: NodeProcess, frames: int, chunk: int = CHUNK) -> None:
        self._run = run
        self._frames = frames
        self._chunk = chunk
        self._sets = _sets()
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
    def _pid(self) -> int:
        assert self._run.process is not None
        return self._run.process.pid

    def _step(self) -> None:
        """One pair and its answer, a burst, or a truncated pair."""
        if self._sent % BAD_EVERY == BAD_EVERY - 1:
            bad = copy.copy(self._sets[0])
            image = copy.copy(bad["right/image"])
            image.data = image.data[:100]
            self._send({**bad, "right/image": image})
            self._run.wait_for(lambda: True)
            return
        burst = BURST if self._sent % BURST_EVERY == 0 else 1
        burst = min(burst, self._frames - self._sent)
        for _ in range(burst):
            stamp = self._send(self._sets[self._sent % len(self._sets)])
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


def _sets() -> list[dict[str, Any]]:
    """Stereo sets of 160x120 pixels."""
    sequence = SyntheticSequence(SyntheticOptions(frames=40, width=160, height=120, focal=120.0))
    made = []
    for frame in sequence:
        messages: dict[str, Any] = {}
        for side, pixels in frame.images.items():
            head = header(0, f"{side}_optical")
            grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
            baseline = sequence.options.baseline if side == "right" else 0.0
            messages[f"{side}/image"] = image_message(grey, head)
            info = camera_info(frame.cameras[side].k, (160, 120), head, baseline)
            messages[f"{side}/camera_info"] = info
        made.append(messages)
    return made


def memory_slope(samples: list[Sample]) -> float:
    """MB of resident memory for each 1000 pairs, least squares, without the first tenth."""
    rest = _settled_part(samples)
    if len(rest) < 3:
        return float("nan")
    return float(np.polyfit([s.sent / 1000 for s in rest], [s.resources.rss for s in rest], 1)[0])


def memory_growth(samples: list[Sample]) -> float:
    """MB of resident memory that came to stay after the first tenth of the pairs."""
    held = [one.resources.rss for one in _settled_part(samples)]
    return held[-1] - held[0]


def _settled_part(samples: list[Sample]) -> list[Sample]:
    return [one for one in samples if one.sent > samples[-1].sent / 10]


def table(samples: list[Sample], soak: Soak) -> str:
    """The section of the page."""
    last = samples[-1]
    half = len(samples) // 2
    lines = [
        f"{last.sent} stereo pairs of 160x120 pixels ({where()}). "
        f"Sent {last.sent} = processed {last.processed} + "
        + " + ".join(f"{reason} {count}" for reason, count in last.dropped.items() if count)
        + f"; unaccounted: {last.unaccounted}; poses that did not come: {soak.unanswered}. "
        f"Poses: {', '.join(f'{count} {name}' for name, count in soak.statuses.items())}. "
        f"Memory: {memory_slope(samples):+.2f} MB for each 1000 pairs.",
    ]
    if half:
        early, late = samples[:half], samples[half:]
        for what, value in (
            ("median latency", lambda one: one.latency_ms[0]),
            ("processor time a pair", lambda one: one.cpu_ms),
        ):
            before, after = (float(np.median([value(s) for s in part])) for part in (early, late))
            lines.append(f"First half and second half, {what}: {before:.1f} and {after:.1f} ms.")
    lines += [
        "",
        "| sent | processed | superseded | bad input | unaccounted | MB | files | threads "
        "| latency median, 95 %, 99 % (ms) | processor time (ms) | pairs/s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join(lines + [row(one) for one in samples])


def row(one: Sample) -> str:
    """A line of the table."""
    held = one.resources
    latency = ", ".join(f"{value:.0f}" for value in one.latency_ms)
    return (
        f"| {one.sent} | {one.processed} | {one.dropped['superseded']} "
        f"| {one.dropped['bad_input']} | {one.unaccounted} | {held.rss:.1f} | {held.files} "
        f"| {held.threads} | {latency} | {one.cpu_ms:.1f} | {one.rate:.1f} |"
    )


def main() -> int:
    """Run the soak; 0 if everything is accounted for and memory stays flat."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--keypoints", type=int, default=60)
    parser.add_argument("--no-page", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    # Names of its own: another node on the same domain must not be heard.
    namespace = f"/soak{os.getpid()}"
    topics = {name: f"{namespace}/{name}" for name in STEREO}
    parameters: dict[str, Any] = {
        "frontend.name": "orb",
        "frontend.max_keypoints": arguments.keypoints,
        "publish.diagnostics_period": 0.5,
        # Reliable, so that what is lost is lost by the node and not on the way to it.
        **{f"qos_overrides.{t}.subscription.reliability": "reliable" for t in topics.values()},
    }
    samples: list[Sample] = []
    qos = QoSProfile(depth=20)
    with NodeProcess(
        STEREO,
        parameters,
        extra_arguments=["-r", f"__ns:={namespace}"],
        topics=topics,
        namespace=namespace,
        input_qos=qos,
    ) as run:
        soak = Soak(run, arguments.frames, min(CHUNK, max(arguments.frames // 5, 1)))
        for sample in soak:
            samples.append(sample)
            print(row(sample), flush=True)
        code = run.stop()
        text = table(samples, soak)
    print(text)
    if not arguments.no_page:
        put_section("soak", text)
    slope = memory_slope(samples)
    accounted = all(one.unaccounted == 0 for one in samples)
    grows = slope > MAX_SLOPE and memory_growth(samples) > MAX_GROWTH
    if not accounted or grows or code != 0:
        print(f"soak failed: {slope=:.2f} {accounted=} {code=}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
