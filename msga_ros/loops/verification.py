"""A candidate looked at: do two keyframes show the same, and where does one lie in the other?"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.pose import invert_pose
from msga_ros.loops.agreed_pose import ESTIMATES, agreed
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.depths import FEWEST, Depths, measured, triangulated
from msga_ros.loops.drift import OdometryChain
from msga_ros.loops.edge_pose import with_length, without_length
from msga_ros.loops.keyframe import Keyframe
from msga_ros.loops.reports import LoopEdge, ScaleSource
from msga_ros.loops.resumable import State
from msga_ros.loops.store import KeyframeStore
from msga_ros.odometry.poses import UncertainPose
from msga_ros.two_view.result import Status, TwoViewResult

_KEPT_DEPTHS = 50  # keyframes


class Pipeline(Protocol):
    """What is used of `msga_ros.two_view.pipeline.TwoViewPipeline`."""

    def extract(self, image: NDArray[np.uint8]) -> Features:
        """Features of one image."""

    def relate(
        self,
        features0: Features,
        features1: Features,
        camera0: Camera,
        camera1: Camera,
        fewest: int = 0,
    ) -> TwoViewResult:
        """The two views related; with fewer candidates than `fewest`, no motion of them."""


@dataclass(frozen=True)
class Candidate:
    """A keyframe of the map that may show what the current view shows."""

    number: int
    similarity: float


def holds(result: TwoViewResult, config: LoopConfig) -> bool:
    """Whether two views show the same."""
    few = result.counts.geometric_inliers < config.min_inliers
    return result.status is not Status.TOO_FEW_MATCHES and not few


@dataclass(frozen=True)
class _KnownDepths:
    """Of a keyframe's features, by those of its neighbours that were `used`; `asked`: how many
    neighbours there were."""

    asked: int
    used: tuple[int, ...]
    depths: tuple[Depths, ...]


class Verifier:
    """Relates keyframes of a store by the two-view pipeline."""

    def __init__(
        self, store: KeyframeStore, pipeline: Pipeline, chain: OdometryChain, config: LoopConfig
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        self._chain = chain
        self._config = config
        self._depths: OrderedDict[int, _KnownDepths] = OrderedDict()

    def relate(self, first: Keyframe, second: Keyframe) -> TwoViewResult:
        """Two keyframes by their features."""
        return self._pipeline.relate(
            first.features,
            second.features,
            first.camera,
            second.camera,
            fewest=self._config.min_inliers,  # inliers are some of the candidates
        )

    def state_dict(self) -> State:
        """By which neighbours the depths were made that are known: others would differ a little."""
        return {
            "depths": [[number, one.asked, [*one.used]] for number, one in self._depths.items()]
        }

    def load_state_dict(self, state: Any) -> None:
        """Go on from `state_dict()`; the depths are made again."""
        self._depths.clear()
        for number, asked, used in state["depths"]:
            keyframe = self._store[number]
            made = [self._triangulated(number, keyframe, one) for one in used]
            depths = tuple(one for one in made if one is not None)
            self._depths[number] = _KnownDepths(asked, tuple(used), depths)

    def edge(self, candidate: Candidate, view: Keyframe, number: int = -1) -> LoopEdge | None:
        """The loop from `candidate` to `view`, keyframe `number` of the map (-1: none of it).

        None where they do not show the same.
        """
        reference = self._store[candidate.number]
        result = self.relate(reference, view)
        if not holds(result, self._config):
            return None
        pose, source = self._pose(candidate.number, reference, view, number, result)
        return LoopEdge(
            candidate.number,
            number,
            reference.stamp,
            view.stamp,
            pose,
            result.counts.geometric_inliers,
            source,
            result.status,
            candidate.similarity,
        )

    def _pose(
        self,
        reference_number: int,
        reference: Keyframe,
        view: Keyframe,
        number: int,
        result: TwoViewResult,
    ) -> tuple[UncertainPose, ScaleSource]:
        rows = np.flatnonzero(result.inlier)
        points0 = reference.camera.normalize(result.keypoints0[rows])
        points1 = view.camera.normalize(result.keypoints1[rows])
        focal = (reference.camera.mean_focal + view.camera.mean_focal) / 2
        if result.indices0 is None or result.indices1 is None:
            return without_length(result, points0, points1, focal), ScaleSource.NONE
        found: list[tuple[UncertainPose, ScaleSource]] = []
        for depths in self._depths_of(reference_number, reference):
            known = depths.of(result.indices0[rows])
            pose = with_length(points0, points1, *known, focal, result)
            if pose is not None:
                found.append((pose, depths.source))
        if not _enough(found):
            back = reversed_views(result)
            for depths in self._depths_of(number, view):
                known = depths.of(result.indices1[rows])
                pose = with_length(points1, points0, *known, focal, back)
                if pose is not None:
                    found.append((pose.inverse(), depths.source))
        measured_ones = [pose for pose, source in found if source is ScaleSource.DEPTH]
        if measured_ones:
            return measured_ones[0], ScaleSource.DEPTH
        if found:
            return agreed([pose for pose, _ in found]), ScaleSource.ODOMETRY
        return without_length(result, points0, points1, focal), ScaleSource.NONE

    def _depths_of(self, number: int, keyframe: Keyframe) -> tuple[Depths, ...]:
        """Of the features of a keyframe: measured ones alone, or those of two neighbours.

        `number` -1: of no keyframe of the map. Looked for again when the map has grown."""
        found = measured(keyframe)
        if found is not None and found.count >= FEWEST:
            return (found,)
        if number < 0:
            return ()
        neighbours = self._neighbours(number)
        known = self._depths.get(number)
        if known is not None and (known.asked == len(neighbours) or len(known.used) >= ESTIMATES):
            self._depths.move_to_end(number)
            return known.depths
        made: dict[int, Depths] = {}
        for one in neighbours:
            triangulated_ones = self._triangulated(number, keyframe, one)
            if triangulated_ones is not None and triangulated_ones.count >= FEWEST:
                made[one] = triangulated_ones
            if len(made) == ESTIMATES:
                break
        self._depths[number] = _KnownDepths(len(neighbours), tuple(made), tuple(made.values()))
        while len(self._depths) > _KEPT_DEPTHS:
            self._depths.popitem(last=False)
        return self._depths[number].depths

    def _triangulated(self, number: int, keyframe: Keyframe, neighbour: int) -> Depths | None:
        motion = self._chain.between(number, neighbour)
        if motion is None:
            return None
        other = self._store[neighbour]
        return triangulated(keyframe, other, self.relate(keyframe, other), motion)

    def _neighbours(self, number: int) -> list[int]:
        """The two keyframes before and the two after, the nearest first."""
        before = self._chain.previous(number)
        after = self._chain.following(number)
        found = [before, after]
        found.append(None if before is None else self._chain.previous(before))
        found.append(None if after is None else self._chain.following(after))
        return [one for one in found if one is not None]


def _enough(found: list[tuple[UncertainPose, ScaleSource]]) -> bool:
    """Whether a length has been measured, or is confirmed by another one."""
    return len(found) >= ESTIMATES or any(source is ScaleSource.DEPTH for _, source in found)


def reversed_views(result: TwoViewResult) -> TwoViewResult:
    """With view 1 for the reference, as far as the motion goes."""
    rotation, translation = invert_pose(result.rotation, result.translation)
    return replace(result, rotation=rotation, translation=translation)
