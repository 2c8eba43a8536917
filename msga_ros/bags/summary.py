"""What a run read, dropped and made, and why nothing usable came out where nothing did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from msga_ros.bags.motion import StampedPose
from msga_ros.bags.topics import Topics
from msga_ros.stream.silence import advice, stamp_text

# Fewer complete sets than this share of the messages of the rarest topic: something is wrong.
_FEW_SETS = 0.5
_GUESSED = ("LOST", "RESCALED")  # of `OdometryStatus`: the motion, or its length, was not measured


@dataclass
class Tally:
    """What happened to the messages: `read`, `broken` (not readable), complete `sets`, sets that
    were `dropped` (stamps), `jumps` back in time.

    By topic: `received`, `unreadable`, `refused` (topic and reason). By input: `newest` stamp (ns),
    and where stamps are `standing` still.
    """

    read: int = 0
    broken: int = 0
    sets: int = 0
    dropped: int = 0
    jumps: int = 0
    received: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    newest: dict[str, int] = field(default_factory=dict)
    standing: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TopicSummary:
    """Of one topic: messages `received`, those that were `used`, and those `dropped` by reason."""

    topic: str
    received: int
    used: int
    dropped: Mapping[str, int]


class Account:
    """Adds up the entries of a run, in order."""

    def __init__(self) -> None:
        self.by_status: Counter[str] = Counter()
        self.second: Counter[bool] = Counter()  # asked: whether its pose stands
        self.bad: Counter[tuple[str, str]] = Counter()  # kind and topic of sets that were unusable
        self.poses: list[StampedPose] = []
        self.motions: list[str] = []  # of these poses, names of `OdometryStatus`

    def add(self, header: Mapping[str, Any]) -> None:
        """Take in what an entry of the journal says."""
        if header["status"] is not None:
            self.by_status[header["status"]] += 1
        if header.get("second") is not None:
            self.second[header["second"]] += 1
        if header["bad"] is not None:
            self.bad[tuple(header["bad"])] += 1
        pose = header["pose"]
        # A later session has another origin, and perhaps stamps that were there before.
        if pose is not None and pose["session"] == 1:
            self.poses.append(StampedPose.from_json(pose))
            self.motions.append(header["motion"])


@dataclass(frozen=True)
class Summary:
    """What a run did. `resumed`: sets that an earlier run had done; `by_status`: of the poses.
    `second_asked`, `second_answered`: pairs that a second front end was asked about, and of which
    its pose stands.

    `poses`: of the trajectory, `guessed` of them without a measured motion, or without its length.
    `length`, `guessed_length`: of the trajectory, metres in mode stereo. `reasons`: why little or
    nothing came out, in lines. `usable`: something did.
    """

    sets: int
    resumed: int
    outcomes: int
    by_status: Mapping[str, int]
    poses: int
    guessed: int
    length: float
    guessed_length: float
    topics: tuple[TopicSummary, ...]
    reasons: tuple[str, ...]
    usable: bool
    tally: Tally
    files: tuple[Path, ...]
    second_asked: int = 0
    second_answered: int = 0


def summarise(
    account: Account,
    tally: Tally,
    topics: Topics,
    resumed: int,
    files: tuple[Path, ...],
    no_trajectory: str = "",
) -> Summary:
    """The summary of a run that is done. `no_trajectory`: why there is none, if so."""
    by_topic = tuple(_topic(one, account, tally) for one in topics.by_topic)
    positions = np.array([one.position for one in account.poses]).reshape(-1, 3)
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    guessed = np.array([one in _GUESSED for one in account.motions], dtype=bool)
    known = sum(account.by_status[name] for name in ("OK", "DEGENERATE"))
    lost = len(guessed) > 1 and all(one == "LOST" for one in account.motions[1:])
    few_sets = _few_sets(tally, topics)
    # One set of many may have a pose, and is not what the bag was recorded for.
    usable = known > 0 and not lost and not (few_sets and tally.sets <= 1)
    reasons = [*few_sets, *([no_trajectory] if no_trajectory else [])]
    if not usable:
        reasons += _nothing(account, tally, lost, known)
    return Summary(
        sets=tally.sets,
        resumed=resumed,
        outcomes=sum(account.by_status.values()),
        by_status=dict(account.by_status),
        poses=len(account.poses),
        guessed=int(guessed.sum()),
        length=float(steps.sum()),
        guessed_length=float(steps[guessed[1:]].sum()),
        topics=by_topic,
        reasons=tuple(reasons),
        usable=usable,
        tally=tally,
        files=files,
        second_asked=account.second.total(),
        second_answered=account.second[True],
    )


def _topic(topic: str, account: Account, tally: Tally) -> TopicSummary:
    dropped: Counter[str] = Counter()
    received = tally.received[topic]
    dropped["unreadable"] = tally.unreadable[topic]
    for (name, reason), count in tally.refused.items():
        if name == topic:
            dropped[reason] += count
    dropped["without a partner"] = max(received - dropped.total() - tally.sets, 0)
    for (kind, name), count in account.bad.items():
        if name == topic:
            dropped[kind.replace("_", " ")] += count
    used = received - dropped.total()
    return TopicSummary(topic, received, used, {key: one for key, one in dropped.items() if one})


def _few_sets(tally: Tally, topics: Topics) -> list[str]:
    """What is known where hardly any messages make up sets."""
    by_input = {name: tally.received[topic] for name, topic in topics.by_input.items()}
    if tally.sets > 0 and tally.sets >= _FEW_SETS * min(by_input.values()):
        return []
    lines = [f"complete sets: {tally.sets}; on each topic:"]
    for name, topic in topics.by_input.items():
        stamp = tally.newest.get(name)
        newest = "" if stamp is None else f", newest stamp {stamp_text(stamp)}"
        lines.append(f"{topic}: {by_input[name]} received{newest}")
    return lines + advice(by_input, tally.newest, tally.standing, topics.by_input)


def _nothing(account: Account, tally: Tally, lost: bool, known: int) -> list[str]:
    lines = [
        f"{topic or 'the images'}: {count} of {tally.sets} sets could not be used: {kind}"
        for (kind, topic), count in account.bad.items()
    ]
    if account.by_status["TOO_FEW_MATCHES"]:
        lines.append(
            f"TOO_FEW_MATCHES: {account.by_status['TOO_FEW_MATCHES']} pairs of views have too few "
            "matches that agree on a motion"
        )
    if lost and known:
        lines.append(
            "no motion was found from any image to the next: the whole trajectory is guessed"
        )
    if tally.sets == 1 and not account.by_status and not account.bad:
        lines.append("one complete set: a motion over time needs two")
    return lines
