"""A matcher of features that another front end has found: mutual nearest neighbours by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from msga_ros.frontend.base import Features, Matches
from msga_ros.frontend.config import FrontendConfig

FRONTENDS = ("sift",)
SIEVE = "tiny"


class TinyMatcher:
    loaded = 0  # how often "weights" were loaded, by all instances

    def __init__(self, config: FrontendConfig, weights: object) -> None:
        self.config = config
        self.weights = weights

    def match(self, features0: Features, features1: Features) -> Matches:
        matcher = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True)
        pairs = matcher.match(features0.descriptors, features1.descriptors)
        pairs = sorted(pairs, key=lambda pair: pair.distance)[: self.config.max_matches or None]
        indices0 = np.array([pair.queryIdx for pair in pairs], np.int64)
        indices1 = np.array([pair.trainIdx for pair in pairs], np.int64)
        distance = np.array([pair.distance for pair in pairs], np.float32)
        return Matches(
            features0.keypoints[indices0],
            features1.keypoints[indices1],
            indices0,
            indices1,
            confidence=1 / (1 + distance / 0.2),
        )

    def reconfigured(self, config: FrontendConfig) -> TinyMatcher:
        return TinyMatcher(config, self.weights)


def create(config: FrontendConfig) -> TinyMatcher:
    TinyMatcher.loaded += 1
    return TinyMatcher(config, object())
