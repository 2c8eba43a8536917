"""Views of the scene and the choice of the one that the next is compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera


@dataclass
class View:
    """One image that went through the front end; its features are extracted once and kept.

    `image` (H, W) or (H, W, 3) uint8. `tracks` maps the index of a feature to the id of its track.
    """

    header: Any
    image: NDArray[np.uint8]
    camera: Camera
    features: Features
    tracks: dict[int, int] = field(default_factory=dict)

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
        return len(view.features) >= self.min_features

    def replaces(self, current: View, result: Any) -> bool:
        """Whether `current` becomes the reference after `result` (a `TwoViewResult`)."""
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


class Tracks:
    """Ids that stay with a scene point from view to view; never used twice, 0 is never one."""

    def __init__(self) -> None:
        self._next = 1

    def follow(self, reference: View, current: View, result: Any) -> NDArray[np.uint64]:
        """Ids of the rows of `result` (N,), 0 for outliers; extends the tracks of both views.

        Where several matches end in one feature of the current view, the most probable one
        carries the track on and the others get 0.
        """
        ids = np.zeros(len(result.inlier), dtype=np.uint64)
        rows = np.flatnonzero(result.inlier)
        order = rows[np.argsort(-result.inlier_probability[rows], kind="stable")]
        for row in order.tolist():
            index0, index1 = int(result.indices0[row]), int(result.indices1[row])
            known = reference.tracks.get(index0)
            if index1 in current.tracks:
                continue
            if known is None:
                known = reference.tracks[index0] = self._next
                self._next += 1
            current.tracks[index1] = known
            ids[row] = known
        return ids
