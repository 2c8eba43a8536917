"""Where the frames went that were sent to the node, by its own counters; no ROS in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Sets that the node refuses before they count as complete.
_REFUSED = ("duplicate", "out_of_order", "no_camera_info")

NOBODY_LISTENED, LOST = "nobody_listened", "lost_on_the_way"


@dataclass(frozen=True)
class Counters:
    """The node's counters at one time, out of its diagnostics."""

    received: Mapping[str, int] = field(default_factory=dict)  # messages by topic
    complete_sets: int = 0
    processed: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)  # sets by reason
    unwanted: int = 0  # sets that came without a subscriber

    @classmethod
    def from_diagnostics(cls, inputs: Mapping[str, str], processing: Mapping[str, str]) -> Counters:
        """Of the key-value pairs of the statuses `input` and `processing`."""
        return cls(
            received=_prefixed(inputs, "received "),
            complete_sets=int(inputs.get("complete_sets", 0)),
            processed=int(processing.get("processed", 0)),
            dropped=_prefixed(processing, "dropped "),
            unwanted=int(processing.get("idle", 0)),
        )

    def since(self, before: Counters) -> Counters:
        """What was counted since `before`."""
        return Counters(
            _difference(self.received, before.received),
            self.complete_sets - before.complete_sets,
            self.processed - before.processed,
            {
                reason: count
                for reason, count in _difference(self.dropped, before.dropped).items()
                if count
            },
            self.unwanted - before.unwanted,
        )

    @property
    def settled(self) -> bool:
        """Whether every complete set was processed, dropped, or not wanted."""
        done = self.processed + self._dropped_after_completion + self.unwanted
        return self.complete_sets == done

    @property
    def refused(self) -> int:
        """Sets that were thrown away before they counted as complete."""
        return sum(self.dropped.get(reason, 0) for reason in _REFUSED)

    @property
    def _dropped_after_completion(self) -> int:
        known = (*_REFUSED, "negative_stamp")  # the last is a message, not a set
        return sum(count for reason, count in self.dropped.items() if reason not in known)


@dataclass(frozen=True)
class Account:
    """Where the frames went: `sent = processed + sum(dropped.values()) + unaccounted`.

    `dropped` has the node's reasons, `lost_on_the_way`: frames of which a message never arrived,
    and `nobody_listened`. `unaccounted` is what none explains; anything but 0 is a defect.
    """

    sent: int
    processed: int
    poses: int  # that arrived here
    dropped: Mapping[str, int]
    unaccounted: int

    @property
    def by_node(self) -> dict[str, int]:
        """Of `dropped`, what the node threw away, by its reasons."""
        others = (NOBODY_LISTENED, LOST)
        return {name: count for name, count in self.dropped.items() if name not in others and count}

    @classmethod
    def of(cls, sent: int, poses: int, counted: Counters) -> Account:
        """Of `sent` frames, the `poses` that came back, and what the node `counted`."""
        incomplete = sent - counted.complete_sets - counted.refused
        missing = sum(sent - count for count in counted.received.values())
        lost = max(min(incomplete, missing), 0)
        dropped = dict(counted.dropped)
        if counted.unwanted:
            dropped[NOBODY_LISTENED] = counted.unwanted
        if lost:
            dropped[LOST] = lost
        unaccounted = sent - counted.processed - sum(dropped.values())
        return cls(sent, counted.processed, poses, dropped, unaccounted)


def _prefixed(values: Mapping[str, str], prefix: str) -> dict[str, int]:
    return {
        key.removeprefix(prefix): int(text)
        for key, text in values.items()
        if key.startswith(prefix)
    }


def _difference(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in now.items()}
