"""What `msga bench node` measures, as values; no ROS in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from msga_ros.tools.frame_account import Account

POSE, CORRESPONDENCES, ODOMETRY = OUTPUTS = ("relative_pose", "correspondences", "odometry")

# In the order in which a frame goes through them; all of them together are `since_stamp`.
STAGES = ("receive", "wait", "convert", "extract", "match", "network", "pose", "publish", "other")
FOLLOWING = ("rig_check", "odometry")  # of a stereo pair, after its pose has gone out
_LATENCY = re.compile(r"latency_(\w+)_ms")
_FIGURES = re.compile(r"median ([-\d.]+), p99 ([-\d.]+)")


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
