"""Messages about the same two views, brought together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np

from msga_ros.stream.cv_bridge_fallback import CvBridge
from msga_ros.stream.image_conversion import image_from_message
from msga_ros.stream.message_types import Correspondences, RelativePose
from msga_ros.viewing.pairs import Image, ShownPair, message_key, pair_from_messages

# Below the namespace of the node.
TOPICS = ("correspondences", "relative_pose", "matches_image", "matches_image/compressed")
_KEPT = 50  # messages that wait for their partners
_MAX_PIXELS = 100_000_000


Key = TypeVar("Key")
Kept = TypeVar("Kept")


class Collector:
    """Takes messages in any order, gives pairs of views.

    `expect_picture`: a pair waits for its picture, which has the stamp of the current view alone.
    """

    def __init__(self, expect_picture: bool = False) -> None:
        self.expect_picture = expect_picture
        self._matches: dict[tuple[int, int], Correspondences] = {}
        self._poses: dict[tuple[int, int], RelativePose] = {}
        self._pictures: dict[int, Image] = {}
        self._newest = 0
        self._epoch = 0

    def add(self, name: str, message: Any) -> Iterator[ShownPair]:
        """Take a message of the topic `name` (below the namespace); pairs that it completes."""
        if name.startswith("matches_image"):
            stamp = message.header.stamp
            key = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
            self._pictures[key] = np.asarray(image_from_message(message, CvBridge(), _MAX_PIXELS))
        elif name == "correspondences":
            self._matches[message_key(message)] = message
        else:
            self._poses[message_key(message)] = message
        for both in [key for key in self._matches if key in self._poses]:
            if self.expect_picture and both[1] not in self._pictures:
                continue
            picture = self._pictures.pop(both[1], None)
            matches, pose = self._matches.pop(both), self._poses.pop(both)
            if both[1] < self._newest:
                self._epoch += 1
            self._newest = both[1]
            yield pair_from_messages(matches, pose, self._epoch, picture)
        _forget(self._matches)
        _forget(self._poses)
        _forget(self._pictures)


def _forget(waiting: dict[Key, Kept]) -> None:
    while len(waiting) > _KEPT:
        del waiting[next(iter(waiting))]
