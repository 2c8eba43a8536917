"""Gives each image the odometry of its stamp, which may come after it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from msga_ros.stream.loops.odometry_buffer import Missing, OdometryBuffer, OdometryPose
from msga_ros.stream.message_set import stamp_ns
from msga_ros.stream.message_types import Stamped

# Poses of the odometry that go along with an image, for whoever looks for jumps: so far apart.
_TRAIL_STEP = 50_000_000  # ns
_TRAIL_LENGTH = 200


@dataclass(frozen=True)
class ImageWithOdometry:
    """A set of messages by input name, the robot's pose at its stamp (None: there is no odometry)
    and some of the poses `trail` since the image before."""

    messages: Mapping[str, Stamped]
    odometry: OdometryPose | None = None
    trail: tuple[OdometryPose, ...] = ()
    arrived: float = field(default_factory=time.monotonic)


class ImagesWithOdometry:
    """Images wait here for their odometry, `depth` of them at most and `patience` seconds long.

    `ready(image)` gets each that has its pose, in the order of the stamps; `refuse(reason, text)`
    is called for each other one. Without odometry (`buffer` None) all are ready at once. All in one
    thread.
    """

    def __init__(
        self,
        buffer: OdometryBuffer | None,
        ready: Callable[[ImageWithOdometry], None],
        refuse: Callable[[str, str], None],
        patience: float,
        depth: int = 100,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._buffer = buffer
        self._ready = ready
        self._refuse = refuse
        self._patience = patience
        self._depth = depth
        self._clock = clock
        self._waiting: deque[ImageWithOdometry] = deque()
        self._last = -1  # stamp of the last pose that went along

    def __len__(self) -> int:
        return len(self._waiting)

    def reset(self) -> None:
        """Time begins anew, or the node ends: what waits is refused."""
        while self._waiting:
            self._waiting.popleft()
            self._refuse("reset", "discarded: time begins anew, or the node was deactivated")
        self._last = -1
        if self._buffer is not None:
            self._buffer.clear()

    def image(self, messages: Mapping[str, Stamped]) -> None:
        """The next complete set."""
        self._waiting.append(ImageWithOdometry(messages, arrived=self._clock()))
        if len(self._waiting) > self._depth:
            self._waiting.popleft()
            self._refuse("waiting", f"more than {self._depth} images wait for their odometry")
        self.look()

    def odometry(self, pose: OdometryPose) -> bool:
        """The next pose of the odometry; False where it is not newer than the one before."""
        if self._buffer is None or not self._buffer.add(pose):
            return False
        self.look()
        return True

    def look(self) -> None:
        """Give away what has its pose, refuse what will have none; from a timer, too."""
        while self._waiting:
            first = self._waiting[0]
            pose = self._pose(first)
            late = self._clock() - first.arrived > self._patience
            if pose is Missing.NOT_YET and not late:
                return
            self._waiting.popleft()
            if isinstance(pose, Missing):
                self._refuse("no_odometry", f"no odometry for an image: {pose.value}")
            else:
                self._ready(
                    ImageWithOdometry(first.messages, pose, self._trail(pose), first.arrived)
                )

    def _pose(self, image: ImageWithOdometry) -> OdometryPose | Missing | None:
        if self._buffer is None:
            return None
        return self._buffer.at(stamp_ns(next(iter(image.messages.values()))))

    def _trail(self, pose: OdometryPose | None) -> tuple[OdometryPose, ...]:
        if self._buffer is None or pose is None:
            return ()
        found: list[OdometryPose] = []
        for one in self._buffer.since(self._last, pose.stamp - 1):
            if not found or one.stamp - found[-1].stamp >= _TRAIL_STEP:
                found.append(one)
        self._last = pose.stamp
        return tuple(found[-_TRAIL_LENGTH:])
