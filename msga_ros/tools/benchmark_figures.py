"""What `msga bench node` measures, as values; no ROS in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

POSE, CORRESPONDENCES, ODOMETRY = OUTPUTS = ("relative_pose", "correspondences", "odometry")

# Sets that the node refuses before they count as complete.
_REFUSED = ("duplicate", "out_of_order")
# In the order in which a frame goes through them; all of them together are `since_stamp`.
STAGES = ("receive", "wait", "convert", "extract", "match", "network", "pose", "publish", "other")
FOLLOWING = ("rig_check", "odometry")  # of a stereo pair, after its pose has gone out
_LATENCY = re.compile(r"latency_(\w+)_ms")
_FIGURES = re.compile(r"median ([-\d.]+), p99 ([-\d.]+)")


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

    @classmethod
    def of(cls, sent: int, poses: int, counted: Counters) -> Account:
        """Of `sent` frames, the `poses` that came back, and what the node `counted`."""
        incomplete = sent - counted.complete_sets - counted.refused
        missing = sum(sent - count for count in counted.received.values())
        lost = max(min(incomplete, missing), 0)
        dropped = dict(counted.dropped)
        if counted.unwanted:
            dropped["nobody_listened"] = counted.unwanted
        if lost:
            dropped["lost_on_the_way"] = lost
        unaccounted = sent - counted.processed - sum(dropped.values())
        return cls(sent, counted.processed, poses, dropped, unaccounted)


@dataclass(frozen=True)
class OutputFigures:
    """Of one output: messages that came, milliseconds from the stamp of the images to here, and how
    many of the messages were older than two frames."""

    came: int
    latency_median_ms: float
    latency_p99_ms: float
    late: int

    @classmethod
    def of(cls, latencies: Sequence[float], rate: float) -> OutputFigures:
        """Of `latencies` in seconds at `rate` frames a second."""
        milliseconds = [1e3 * one for one in latencies]
        late = sum(one > 2.0 / rate for one in latencies)
        median, p99 = percentiles(milliseconds, 50, 99)
        return cls(len(latencies), median, p99, late)


@dataclass(frozen=True)
class Run:
    """One size of image. Milliseconds, seconds, MB (10^6 bytes); NaN where not known.

    `latency_*`: from the stamp of the images to the arrival of the pose here; `outputs`: the same
    of each output that was listened to. `stages`: median of
    each stage in the node, over its newest sets (at most 100), and `return`, the travel of the pose
    from the node to here. CPU in cores: seconds of user and system time a second;
    `cpu_ms_per_set` of the node for each set that it processed, which a busy machine changes least.
    `start_seconds`: from the start of the process until the node is active and connected;
    `start_cpu_seconds`: what it has computed until then.
    """

    width: int
    height: int
    asked_rate: float
    seconds: float
    account: Account
    sent_rate: float
    pose_rate: float
    latency_median_ms: float
    latency_p99_ms: float
    stages: Mapping[str, float]
    ok: int  # poses with status OK
    cpu_node: float
    cpu_ms_per_set: float
    cpu_bench: float
    cpu_others: float
    memory_mb: float  # of the node at the end
    memory_peak_mb: float
    threads: int
    start_seconds: float
    start_cpu_seconds: float
    outputs: Mapping[str, OutputFigures] = field(default_factory=dict)


def stage_medians(processing: Mapping[str, str], latency_median_ms: float) -> dict[str, float]:
    """Median milliseconds of `STAGES` and `FOLLOWING`, and `return`, out of `processing`.

    `other` is what the node's own total has beyond its stages. Medians do not add up where a stage
    takes long in a few sets, as the network does with `tracks`. A pose does not wait for what
    follows it, so that time is no part of it.
    """
    medians = {}
    for key, text in processing.items():
        name, figures = _LATENCY.fullmatch(key), _FIGURES.fullmatch(text)
        if name and figures:
            medians[name[1]] = float(figures[1])
    total, since_stamp = medians.pop("total", np.nan), medians.pop("since_stamp", np.nan)
    known = {stage: medians[stage] for stage in (*STAGES, *FOLLOWING) if stage in medians}
    known.setdefault("receive", since_stamp - total)
    inside = sum(value for stage, value in known.items() if stage != "receive")
    known.setdefault("other", max(total - inside, 0.0))
    stages = {stage: known[stage] for stage in (*STAGES, *FOLLOWING) if stage in known}
    following = sum(known.get(stage, 0.0) for stage in FOLLOWING)
    stages["return"] = max(latency_median_ms - since_stamp + following, 0.0)
    return stages


def percentiles(values: Sequence[float], *wanted: float) -> tuple[float, ...]:
    """Percentiles of `values`; NaN of nothing."""
    if not len(values):
        return (float("nan"),) * len(wanted)
    return tuple(float(one) for one in np.percentile(values, wanted))


def _prefixed(values: Mapping[str, str], prefix: str) -> dict[str, int]:
    return {
        key.removeprefix(prefix): int(text)
        for key, text in values.items()
        if key.startswith(prefix)
    }


def _difference(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in now.items()}
