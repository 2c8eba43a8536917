"""A frame as the mono odometry keeps it, and all that it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.odometry.poses import UncertainPose
from msga_ros.odometry.tracks import TracksState

Array = NDArray[np.float64]


@dataclass
class MonoFrame:
    """A frame; arrays by the index of the feature, NaN where nothing is known.

    `points` (N, 2): normalised coordinates; `inverse_depth`, `inverse_depth_sigma` (N,).
    """

    stamp: float
    features: Features
    camera: Camera
    points: Array
    inverse_depth: Array
    inverse_depth_sigma: Array
    tracks: dict[int, int] = field(default_factory=dict)


class MonoState(TypedDict):
    """Everything that the next update of a `MonoOdometry` depends on, but for its settings."""

    tracks: TracksState
    keyframe: MonoFrame | None
    reference: UncertainPose
    scaled: bool
    seen_at_first: int
    last: UncertainPose
    velocity: UncertainPose
    previous: tuple[MonoFrame, UncertainPose] | None
