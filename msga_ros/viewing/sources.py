"""Pairs of views to be shown, of a folder of photographs or of a bag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msga_ros.bags.motion import StampedPose
from msga_ros.bags.reading import Bag
from msga_ros.bags.replay import Replayer, message_sets
from msga_ros.bags.storage_files import is_bag
from msga_ros.bags.summary import Tally
from msga_ros.bags.topics import Topics, choose_topics
from msga_ros.bags.types import CORRESPONDENCES, typestore
from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame, Sequence
from msga_ros.datasets.sequences.source import open_sequence
from msga_ros.frontend.base import Features
from msga_ros.stream.depth_motion import in_metres
from msga_ros.stream.processor import Outcome, Pipeline
from msga_ros.stream.reference_view import View
from msga_ros.stream.settings import Settings
from msga_ros.two_view.result import TwoViewResult
from msga_ros.viewing.collector import TOPICS, Collector
from msga_ros.viewing.pairs import ShownPair, header_of, pair_from_outcome

Warn = Callable[[str], None]
LoadPipeline = Callable[[], Pipeline]


@dataclass(frozen=True)
class Request:
    """`source`: folder with a scene.json, video, `synthetic`, or bag (of ROS 2 or ROS 1)."""

    source: str
    settings: Settings
    topics: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "/msga"


def open_pairs(request: Request, load: LoadPipeline, warn: Warn) -> Iterator[ShownPair]:
    """The pairs of any source. Raises `SequenceError` or `BagError` before the first one."""
    path = Path(request.source)
    if is_bag(path):
        bag = Bag(path, warn)
        matches = f"{request.namespace}/correspondences"
        if bag.types.get(matches) == CORRESPONDENCES:
            return _recorded(bag, request.namespace)
        topics = choose_topics(request.settings["mode"], request.topics, bag.types)
        replayer = Replayer(
            load(), topics, request.settings, lambda _, topic, text: warn(f"{topic}: {text}")
        )
        return _replayed(bag, replayer, request.settings, topics, warn)
    settings = request.settings
    sequence = open_sequence(request.source, stereo=settings.stereo, depth=settings.rgbd)
    return _frames(sequence, load(), request.settings)


def _frames(sequence: Sequence, pipeline: Pipeline, settings: Settings) -> Iterator[ShownPair]:
    """Frames of a sequence, by the node's own rule for the reference view."""
    reference: tuple[View, StampedPose | None] | None = None
    left: View | None = None
    for frame in sequence:
        previous = None if left is None else left.features
        left = _view(frame, LEFT, pipeline.follow(previous, frame.images[LEFT]))
        here = _truth(frame)
        if settings.stereo:
            seen = pipeline.beside(left.features, frame.images[RIGHT])
            outcome = _related(pipeline, left, _view(frame, RIGHT, seen), _baseline(frame))
            yield pair_from_outcome(outcome, 0, here)
            continue
        replace = settings.reference.usable(left)
        if reference is not None:
            outcome = _over_time(pipeline, reference[0], left, settings)
            yield pair_from_outcome(outcome, 0, reference[1])
            replace = settings.reference.replaces(left, outcome.result)
        if replace:
            reference = (left, here)


def _view(frame: Frame, side: str, features: Features) -> View:
    header = header_of(_stamp_ns(frame), side)
    view = View(header, frame.images[side], frame.cameras[side], features)
    view.depth = frame.depth if side == LEFT else None
    return view


def _related(pipeline: Pipeline, view0: View, view1: View, baseline: float | None) -> Outcome:
    result = pipeline.relate(view0.features, view1.features, view0.camera, view1.camera)
    return Outcome(view0, view1, result, _no_ids(result), True, True, baseline)


def _over_time(pipeline: Pipeline, view0: View, view1: View, settings: Settings) -> Outcome:
    result = pipeline.relate(view0.features, view1.features, view0.camera, view1.camera)
    result, metric = in_metres(result, view0, view1, settings.odometry)
    return Outcome(view0, view1, result, _no_ids(result), False, True, None, metric=metric)


def _no_ids(result: TwoViewResult) -> NDArray[np.uint64]:
    return np.zeros(len(result.inlier), dtype=np.uint64)


def _truth(frame: Frame) -> StampedPose | None:
    """Pose of the left camera in the world."""
    if frame.poses is None:
        return None
    pose = frame.poses[LEFT]
    return StampedPose(_stamp_ns(frame), pose.rotation.T, pose.centre)


def _baseline(frame: Frame) -> float | None:
    if frame.poses is None:
        return None
    return float(np.linalg.norm(frame.poses[RIGHT].centre - frame.poses[LEFT].centre)) or None


def _stamp_ns(frame: Frame) -> int:
    return round(frame.stamp * 1e9)


def _replayed(
    bag: Bag, replayer: Replayer, settings: Settings, topics: Topics, warn: Warn
) -> Iterator[ShownPair]:
    """A bag of images, through the pipeline."""
    for one in message_sets(bag, topics, settings, Tally(), warn):
        outcome = replayer.relate(one)
        if outcome is not None:
            yield pair_from_outcome(outcome, one.epoch)


def _recorded(bag: Bag, namespace: str) -> Iterator[ShownPair]:
    """A bag that `msga bag` or a recorder of the node's topics has written."""
    store, collector = typestore(), Collector()
    wanted = {f"{namespace}/{name}" for name in TOPICS}
    collector.expect_picture = any(
        f"{namespace}/{name}" in bag.types for name in TOPICS if name.startswith("matches_image")
    )
    for raw in bag.messages(wanted):
        message = store.deserialize_cdr(raw.data, raw.kind)
        yield from collector.add(raw.topic.removeprefix(namespace + "/"), message)
