"""A matcher that takes two images and tells no fixed keypoints: only points that correspond."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from msga_ros.frontend.base import Features, FrontendError, Matches
from msga_ros.frontend.config import FrontendConfig


@dataclass(frozen=True)
class Config:
    most: int = field(default=2000, metadata={"description": "Points looked at in each image."})


class TinyFrontend:
    name = "tiny"
    loaded = 0  # how often "weights" were loaded, by all instances

    def __init__(self, config: FrontendConfig, weights: object) -> None:
        self.config = config
        self.weights = weights

    def extract(self, image: np.ndarray) -> Features:
        height, width = image.shape[:2]
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        return Features.without_keypoints((width, height), payload=grey)

    def match(self, features0: Features, features1: Features) -> Matches:
        if features0.payload is None or features1.payload is None:
            raise FrontendError("features of another front end")
        own: Any = self.config.own
        detector = cv2.SIFT_create(nfeatures=own.most)
        seen = [detector.detectAndCompute(one.payload, None) for one in (features0, features1)]
        pairs = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(seen[0][1], seen[1][1])
        points = [
            np.array([found[index].pt for index in indices], np.float32).reshape(-1, 2)
            for (found, _), indices in zip(
                seen, ([p.queryIdx for p in pairs], [p.trainIdx for p in pairs]), strict=True
            )
        ]
        distance = np.array([pair.distance for pair in pairs], np.float32)
        return Matches(*points, confidence=1 / (1 + distance / 100))

    def reconfigured(self, config: FrontendConfig) -> TinyFrontend:
        return TinyFrontend(dataclasses.replace(config, own=config.own or Config()), self.weights)


def create(config: FrontendConfig) -> TinyFrontend:
    TinyFrontend.loaded += 1
    return TinyFrontend(config, object())
