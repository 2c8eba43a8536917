"""A new keyframe against all before: candidates by the global descriptor, verified one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.keyframe import Keyframe
from msga_ros.loops.store import KeyframeStore
from msga_ros.loops.vlad import Vocabulary
from msga_ros.two_view.result import Status, TwoViewResult


@dataclass(frozen=True)
class Loop:
    """Keyframe `current` shows what keyframe `reference` showed, both numbers of the store.

    `similarity` of the global descriptors, -1 to 1. `result`: reference is view 0, current view 1,
    `x_current = R x_reference + t`; with status DEGENERATE (turned on the spot) the translation is
    unknown.
    """

    reference: int
    current: int
    similarity: float
    result: TwoViewResult


class Pipeline(Protocol):
    """What is used of `msga_ros.two_view.pipeline.TwoViewPipeline`."""

    def extract(self, image: NDArray[np.uint8]) -> Features:
        """Features of one image."""

    def relate_features(
        self, features0: Features, features1: Features, camera0: Camera, camera1: Camera
    ) -> TwoViewResult:
        """The two views related."""


class LoopCloser:
    """Adds keyframes to a store and looks each up among those before; what lay in the store at the
    beginning is of an earlier run, and a candidate whatever its stamps."""

    def __init__(
        self,
        store: KeyframeStore,
        pipeline: Pipeline,
        vocabulary: Vocabulary,
        config: LoopConfig,
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        self._vocabulary = vocabulary
        self._config = config
        self._begun = len(store)

    def add(self, name: str, stamp: float, image: NDArray[np.uint8], camera: Camera) -> Loop | None:
        """Keep the image as a keyframe; the loop that it closes, or None.

        The most similar candidate that holds is taken, and no further ones are verified.
        """
        features = self._pipeline.extract(image)
        descriptor = self._vocabulary.describe(features.descriptors)
        keyframe = Keyframe(name, stamp, camera, features, descriptor)
        proposed = self.propose(descriptor, stamp)
        current = self._store.add(keyframe)
        for number, similarity in proposed:
            seen = self._store[number]
            result = self._pipeline.relate_features(seen.features, features, seen.camera, camera)
            if self._holds(result):
                return Loop(number, current, similarity, result)
        return None

    def propose(self, descriptor: NDArray[np.float32], stamp: float) -> list[tuple[int, float]]:
        """Numbers and similarities of the candidates, the most similar first."""
        store = self._store
        if not len(store) or not descriptor.any():
            return []
        allowed = np.abs(store.stamps - stamp) >= self._config.min_gap
        allowed[: self._begun] = True
        numbers = np.flatnonzero(allowed)
        similarities = store.descriptors[numbers] @ descriptor
        order = np.argsort(-similarities, kind="stable")[: self._config.candidates]
        return [(int(numbers[one]), float(similarities[one])) for one in order]

    def _holds(self, result: TwoViewResult) -> bool:
        few = result.counts.geometric_inliers < self._config.min_inliers
        return result.status is not Status.TOO_FEW_MATCHES and not few
