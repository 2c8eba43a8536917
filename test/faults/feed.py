"""Feeds a running node: good frames with their truth, and whatever a fault makes of them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from faults.footage import Footage, View, current_in_reference
from faults.resources import Resources
from node.harness import NodeProcess, camera_info, header, stamp_ns
from node.scenes import direction_error_deg, rotation_error_deg, transform_of
from sensor_msgs.msg import CompressedImage

from msga_ros.node.image_message import image_message

# A pose is right within these angles of the truth.
ROTATION_BOUND_DEG = 1.5
DIRECTION_BOUND_DEG = 10.0
_FRAME_NS = 100_000_000
# The answer to a good pair comes within so many seconds, on a machine that others use too.
ANSWER_SECONDS = 5.0

Messages = dict[str, Any]


def reliable(topics: Iterable[str]) -> dict[str, str]:
    """Parameters for inputs that lose nothing on the way: what is lost then, the node has lost."""
    return {f"qos_overrides.{topic}.subscription.reliability": "reliable" for topic in topics}


@dataclass(frozen=True)
class Errors:
    """Angles between the node's pose and the truth, degrees."""

    rotation: float
    direction: float

    def check(self) -> Errors:
        """These errors, if the pose is right."""
        assert self.rotation < ROTATION_BOUND_DEG, self
        assert self.direction < DIRECTION_BOUND_DEG, self
        return self


class Feed:
    """The inputs of one node in mode stereo (raw images) or temporal (compressed ones)."""

    def __init__(
        self, run: NodeProcess, footage: Footage, stereo: bool, namespace: str = ""
    ) -> None:
        self.run = run
        self.footage = footage
        self.stereo = stereo
        self.namespace = namespace
        self.now = 1_800_000_000_000_000_000
        self._count = 0

    def tick(self, frames: int = 1) -> int:
        """The stamp of the next frame, ns."""
        self.now += frames * _FRAME_NS
        return self.now

    def next_frame(self) -> int:
        """The number of the next picture of the footage."""
        self._count += 1
        return self.footage.number(self._count)

    def view(self, frame: int, side: str = "left") -> View:
        """A picture of the footage."""
        return self.footage.view(frame, side)

    def messages(self, stamp: int, *views: View) -> Messages:
        """A set of this stamp: of a left and a right view, or of one."""
        names = ("left/", "right/") if self.stereo else ("",)
        made: Messages = {}
        for name, view in zip(names, views, strict=True):
            head = header(stamp, f"{name.strip('/') or 'camera'}_optical")
            size = (view.pixels.shape[1], view.pixels.shape[0])
            baseline = self.footage.baseline if name == "right/" else 0.0
            made[f"{name}image"] = self._image(view.pixels, head)
            made[f"{name}camera_info"] = camera_info(view.k, size, head, baseline)
        return made

    def good(self, stamp: int | None = None, frame: int | None = None) -> Messages:
        """A set without fault: the next one, unless `stamp` and `frame` are given."""
        frame = self.next_frame() if frame is None else frame
        sides = ("left", "right") if self.stereo else ("left",)
        stamp = self.tick() if stamp is None else stamp
        return self.messages(stamp, *(self.view(frame, side) for side in sides))

    def send(self, messages: Mapping[str, Any]) -> None:
        """Publish, and let the node's answers in."""
        self.run.publish(messages)
        self.spin(0.01)

    def spin(self, seconds: float) -> None:
        """Take in for some time what the node says."""
        end = time.monotonic() + seconds
        self.run.wait_for(lambda: time.monotonic() >= end, seconds + 5.0)

    def begin(self, timeout: float = 40.0) -> None:
        """Send good pairs until one is answered: both ends have to find each other first."""
        end = time.monotonic() + timeout
        while self.pair(*self._next_views()) is None:
            assert time.monotonic() < end, f"no pose in {timeout} s; log:\n{self.run.log()}"

    def right(self) -> Errors:
        """Send one good pair: it is answered in time, and the answer is right."""
        if not self._count:
            self.begin()
        errors = self.pair(*self._next_views())
        assert errors is not None, f"the next good pair has no pose; log:\n{self.run.log()}"
        return errors.check()

    def _next_views(self) -> tuple[View, View]:
        """The next good pair: left and right, or two frames."""
        frame = self.next_frame()
        if self.stereo:
            return self.view(frame, "left"), self.view(frame, "right")
        return self.view(frame), self.view(self.next_frame())

    def pair(self, reference: View, current: View) -> Errors | None:
        """Send two views and compare the pose with the truth.

        None where there is no pose of the one in the other within `ANSWER_SECONDS`.
        """
        if self.stereo:
            first = stamp = self.tick()
            self.send(self.messages(stamp, reference, current))
        else:
            first, stamp = self.tick(), self.tick()
            self.send(self.messages(first, reference))
            self.answer(first, 2.0)  # without a reference it has none
            self.send(self.messages(stamp, current))
        pose = self.answer(stamp)
        if pose is None or stamp_ns(pose.reference_header) != first:
            return None
        return self.errors(pose, reference, current)

    def answer(self, stamp: int, timeout: float = ANSWER_SECONDS) -> Any:
        """The pose of the view with this stamp; None if it does not come in time."""
        end = time.monotonic() + timeout
        self.run.wait_for(lambda: self.run.pose_of(stamp) or time.monotonic() > end, timeout + 5.0)
        return self.run.pose_of(stamp)

    def errors(self, pose: Any, reference: View, current: View) -> Errors:
        """How far a pose is from the truth."""
        rotation, position = transform_of(pose.transform)
        true_rotation, true_position = current_in_reference(reference, current)
        return Errors(
            rotation_error_deg(rotation, true_rotation),
            direction_error_deg(position, true_position),
        )

    # What the node says about itself.

    def counter(self, key: str) -> int:
        """A count of the newest diagnostics, 0 where there is none."""
        parts = ("input", "processing", "requests")
        found = {key: value for part in parts for key, value in self.run.diagnostic(part).items()}
        return int(found.get(key, 0))

    def said(self, pattern: str, since: int) -> str:
        """What matches `pattern` in the diagnostics from the `since`-th message on, or ""."""
        for message in self.run.messages["/diagnostics"][since:]:
            for status in message.status:
                if not status.name.startswith(f"{self.namespace}/msga".strip("/")):
                    continue
                texts = [status.message, *(f"{one.key}: {one.value}" for one in status.values)]
                for text in texts:
                    match = re.search(pattern, text, re.DOTALL)
                    if match:
                        return match.group(0)
        return ""

    def resources(self) -> Resources:
        """What the node's process holds."""
        assert self.run.process is not None
        return Resources.of(self.run.process.pid)

    def _image(self, pixels: np.ndarray, head: Any) -> Any:
        if self.stereo:
            return image_message(pixels, head)
        data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
        return CompressedImage(header=head, format="jpeg", data=data.tobytes())
