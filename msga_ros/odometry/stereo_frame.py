"""Frames as the stereo odometry keeps them, what two saw of the same points, and its state."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.odometry.chain import Step
from msga_ros.odometry.matches import MatchesLike
from msga_ros.odometry.metric import MetricState
from msga_ros.odometry.observations import Observations
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


def observed(
    keyframe: StereoFrame,
    frame: StereoFrame,
    features0: NDArray[np.int64],
    features1: NDArray[np.int64],
    matches: MatchesLike,
    rows: NDArray[np.int64],
) -> Observations:
    """What both frames saw of the points of the `rows` (N,) of `matches`."""
    nothing = np.full(len(rows), np.nan)
    return Observations(
        left0=keyframe.left[features0],
        left1=frame.left[features1],
        right0=keyframe.right[features0],
        right1=frame.right[features1],
        weight=np.asarray(matches.inlier_probability[rows], dtype=np.float64),
        inverse_depth=nothing,
        inverse_depth_sigma=nothing,
    )


class StereoState(MetricState):
    """Everything that the next update of a `StereoOdometry` depends on, but for its settings."""

    rig: RigTrackerState
    keyframe: StereoFrame | None
    previous: tuple[StereoFrame, Step] | None
