"""A frame as the stereo odometry keeps it, and all that it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.odometry.chain import Step
from msga_ros.odometry.metric import MetricState
from msga_ros.odometry.rig_tracker import RigTrackerState

Array = NDArray[np.float64]


@dataclass
class StereoFrame:
    """A frame after stereo matching; arrays by the index of the left feature, NaN where nothing.

    `left`, `right` (N, 2): normalised coordinates; `inverse_depth` (N,) 1/m; `probability` (N,).
    """

    stamp: float
    features: Features
    camera: Camera
    left: Array
    right: Array
    inverse_depth: Array
    probability: Array
    tracks: dict[int, int] = field(default_factory=dict)

    @classmethod
    def without_depth(
        cls, stamp: float, features: Features, camera: Camera, points: Array
    ) -> StereoFrame:
        """A frame of which only the left view is known; `points` (N, 2): normalised coordinates."""
        count = len(features)
        unseen, unknown = np.full((count, 2), np.nan), np.full(count, np.nan)
        return cls(stamp, features, camera, points, unseen, unknown, np.zeros(count))

    @property
    def with_depth(self) -> NDArray[np.int64]:
        """(K,) left features that were found in the right image, too."""
        return np.flatnonzero(np.isfinite(self.inverse_depth))


class StereoState(MetricState):
    """Everything that the next update of a `StereoOdometry` depends on, but for its settings."""

    rig: RigTrackerState
    keyframe: StereoFrame | None
    previous: tuple[StereoFrame, Step] | None
