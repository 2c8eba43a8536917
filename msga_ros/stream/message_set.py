"""A complete set of messages of one instant, whatever brought them: DDS or a bag."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STEREO_INPUTS = ("left/image", "left/camera_info", "right/image", "right/camera_info")
TEMPORAL_INPUTS = ("image", "camera_info")


@dataclass(frozen=True)
class MessageSet:
    """A complete set of messages by input name, when it was complete, and in which epoch."""

    messages: Mapping[str, Any]
    arrived: float = field(default_factory=time.monotonic)
    epoch: int = 0


def stamp_ns(message: Any) -> int:
    """Nanoseconds of the stamp of a message with a header."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
