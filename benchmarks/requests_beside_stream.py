"""What requests cost the live stream: latency of stereo pairs with and without somebody who asks.

    python benchmarks/requests_beside_stream.py --seconds 15 --rounds 3

The node runs in its own process, and who asks in another one: `relate_images`, the next as soon as
the last is answered. Stretches without and with requests take turns, so that a busy machine hurts
both. Latency: from the stamp of a pair to the arrival of its pose, over DDS. "Work" is what a pair
takes without requests, from the mailbox to the pose. The table goes into `docs/services.md`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "test")]

import cv2
from faults.report import put_section, where
from msga_ros.msg import RelativePose
from node.harness import STEREO, NodeProcess, camera_info, header, stamp_ns
from rclpy.qos import QoSProfile

from msga_ros.client.client import MsgaClient
from msga_ros.datasets.sequences.base import LEFT, RIGHT
from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence
from msga_ros.node.image_message import image_message

_FRAMES = 8
_POSE = "/bench/msga/relative_pose"


@dataclass
class Stretch:
    """Latencies in ms of the pairs that were answered, of so many `sent`; `asked`: requests."""

    latencies: list[float] = field(default_factory=list)
    sent: int = 0
    asked: int = 0

    def row(self, name: str, base: float, work: float) -> str:
        median, high = np.percentile(self.latencies, [50, 95])
        return (
            f"| {name} | {self.asked} | {len(self.latencies)} of {self.sent} | {median:.0f} "
            f"| {high:.0f} | {median / base:.2f} | {(median - base) / work:+.2f} |"
        )


def sequence(size: tuple[int, int]) -> SyntheticSequence:
    return SyntheticSequence(
        SyntheticOptions(frames=_FRAMES, width=size[0], height=size[1], focal=0.8 * size[0])
    )


def grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def ask(size: tuple[int, int]) -> None:
    """Ask until the standard input ends; say how many were answered."""
    shown = sequence(size)
    first, second = grey(shown[0].images[LEFT]), grey(shown[_FRAMES - 1].images[LEFT])
    answered, ended = 0, threading.Thread(target=sys.stdin.read, daemon=True)
    ended.start()
    with MsgaClient(name="/bench/msga", timeout=30.0) as client:
        client.wait()
        while ended.is_alive():
            client.relate_images(first, second, shown.camera, shown.camera)
            answered += 1
            print(answered, flush=True)


@contextmanager
def asking(run: NodeProcess, size: tuple[int, int], stretch: Stretch) -> Iterator[None]:
    """Somebody asks all the time meanwhile."""
    command = [sys.executable, __file__, "--ask", "--size", f"{size[0]}x{size[1]}"]
    process = subprocess.Popen(
        command, env=run.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdout.readline()  # the first answer
    yield
    output = process.communicate()[0].split()
    assert process.returncode == 0
    stretch.asked += len(output)


class Stream:
    """Sends stereo pairs at a rate and takes the times of their poses."""

    def __init__(self, run: NodeProcess, size: tuple[int, int], rate: float) -> None:
        self._run, self._rate = run, rate
        shown = sequence(size)
        self._pixels = [
            [grey(shown[number].images[side]) for side in (LEFT, RIGHT)]
            for number in [*range(_FRAMES), *range(_FRAMES - 2, 0, -1)]
        ]
        self._k = shown.camera.k
        self._count = 0
        self._arrived: dict[int, float] = {}
        run.node.create_subscription(RelativePose, _POSE, self._on_pose, 50)

    def send(self, seconds: float, stretch: Stretch) -> None:
        """Send for so long, and wait a moment for the last poses."""
        stamps, end = [], time.monotonic() + seconds
        due = time.monotonic()
        while time.monotonic() < end:
            stamps.append(self._one())
            due = max(due + 1.0 / self._rate, time.monotonic())
            self._spin(due - time.monotonic())
        self._spin(1.0)
        stretch.sent += len(stamps)
        stretch.latencies += [self._arrived[one] for one in stamps if one in self._arrived]

    def _one(self) -> int:
        pixels = self._pixels[self._count % len(self._pixels)]
        self._count += 1
        stamp = time.time_ns()
        messages = {}
        for side, image in zip(("left", "right"), pixels, strict=True):
            made = header(stamp, f"{side}_optical")
            baseline = 0.25 if side == "right" else 0.0
            size = (image.shape[1], image.shape[0])
            messages[f"{side}/image"] = image_message(image, made)
            messages[f"{side}/camera_info"] = camera_info(self._k, size, made, baseline)
        self._run.publish(messages)
        return stamp

    def _on_pose(self, pose: RelativePose) -> None:
        stamp = stamp_ns(pose.header)
        self._arrived[stamp] = 1e-6 * (time.time_ns() - stamp)

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._run.wait_for(lambda: time.monotonic() >= end, max(seconds, 0.0) + 5.0)


def work_ms(run: NodeProcess) -> float:
    """Median milliseconds of a pair, from the mailbox to the pose."""
    stages = run.diagnostic("processing")
    medians = {
        name: float(stages[f"latency_{name}_ms"].split()[1].rstrip(","))
        for name in ("convert", "extract", "match", "network", "pose")
    }
    return sum(medians.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each stretch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=4.0, help="pairs a second")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--keypoints", type=int, default=1000)
    parser.add_argument("--page", action="store_true", help="put the table into docs/services.md")
    parser.add_argument("--ask", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    width, height = (int(one) for one in asked.size.split("x"))
    if asked.ask:
        ask((width, height))
        return
    parameters = {
        "frontend.name": "orb",
        "frontend.max_keypoints": asked.keypoints,
        "network.weights": "msga_net_lite",
        "publish.diagnostics_period": 0.2,
        "odometry.run": "never",
        **{f"qos_overrides./bench/{name}.subscription.reliability": "reliable" for name in STEREO},
    }
    topics = {name: f"/bench/{name}" for name in STEREO}
    quiet, busy, works = Stretch(), Stretch(), []
    with NodeProcess(
        STEREO,
        parameters,
        extra_arguments=["-r", "__ns:=/bench"],
        namespace="/bench",
        topics=topics,
        input_qos=QoSProfile(depth=10),
    ) as run:
        stream = Stream(run, (width, height), asked.rate)
        stream.send(3.0, Stretch())
        for _ in range(asked.rounds):
            stream.send(asked.seconds, quiet)
            works.append(work_ms(run))
            with asking(run, (width, height), busy):
                stream.send(asked.seconds, busy)
        errors = run.diagnostic("processing")["errors"]
    base, work = float(np.median(quiet.latencies)), float(np.median(works))
    lines = [
        f"`python benchmarks/requests_beside_stream.py --seconds {asked.seconds:g} --rounds "
        f"{asked.rounds} --rate {asked.rate:g} --size {asked.size} --keypoints {asked.keypoints}`: "
        f"stereo pairs, ORB, `msga_net_lite`; {where()}. Work on a pair: {work:.0f} ms.",
        "",
        "| somebody asks | requests answered | poses | latency, median (ms) | 95 % (ms) "
        "| median over median without | later by, in works of a pair |",
        "|---|---|---|---|---|---|---|",
        quiet.row("no", base, work),
        busy.row("`relate_images`, always", base, work),
    ]
    print("\n".join(lines), f"\nerrors: {errors}")
    if asked.page:
        put_section("beside a stream", "\n".join(lines), ROOT / "docs" / "services.md")


if __name__ == "__main__":
    main()
