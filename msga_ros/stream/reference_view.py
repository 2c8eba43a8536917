"""Views, and the choice of the reference view that the next one is compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.depth import DepthImage
from msga_ros.stream.message_types import Header
from msga_ros.two_view.result import TwoViewResult


@dataclass
class View:
    """One image that went through the front end; its features are extracted once and kept.

    `image` (H, W) or (H, W, 3) uint8. `tracks` maps the index of a feature to the id of its track.
    `depth` (H, W): registered to the image, metres, NaN for none; None but in mode rgbd.
    """

    header: Header
    image: NDArray[np.uint8]
    camera: Camera
    features: Features
    tracks: dict[int, int] = field(default_factory=dict)
    depth: DepthImage | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the image in pixels."""
        return self.features.image_size


@dataclass(frozen=True)
class ReferencePolicy:
    """When the current view takes the place of the reference (mode temporal).

    `previous`: always. `keyframe`: once the motion says so, that is the median parallax exceeds
    `max_parallax_deg`, fewer than `min_inliers` matches hold, or their share of the matches falls
    below `min_inlier_ratio`. A view with fewer than `min_features` features (black, without
    texture) never becomes the reference, so that the next good one still has a good partner.
    """

    kind: str = "previous"
    max_parallax_deg: float = 5.0
    min_inliers: int = 50
    min_inlier_ratio: float = 0.1
    min_features: int = 12

    def usable(self, view: View) -> bool:
        """Whether `view` has enough features to be compared with."""
        return not view.features.fixed_keypoints or len(view.features) >= self.min_features

    def replaces(self, current: View, result: TwoViewResult) -> bool:
        """Whether `current` becomes the reference after `result`: of the front end that the
        features are from, whatever a second one says, which would be asked of each view to come."""
        result = result.of_features
        if not self.usable(current):
            return False
        if self.kind == "previous":
            return True
        inliers = int(np.count_nonzero(result.inlier))
        matched = len(result.inlier)
        return bool(
            inliers < self.min_inliers
            or inliers < self.min_inlier_ratio * matched
            or result.median_parallax > math.radians(self.max_parallax_deg)
        )
