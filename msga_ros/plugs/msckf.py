"""Stereo measurements of persistent features, as MSCKF-VIO takes them.

Its `CameraMeasurement` is a header and an array of features with `id`, `u0`, `v0`, `u1`, `v1`:
normalised coordinates in the left and the right camera. `msga_ros/CameraMeasurement` has the same
layout; the names are ours because a ROS type carries its package. See docs/plugs/msckf.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.plugs.matches import PlugError, TrackedMatches


@dataclass(frozen=True)
class StereoMeasurement:
    """`ids` (M,) and `coordinates` (M, 4): u0, v0, u1, v1. `stamp_ns`: of the left image."""

    stamp_ns: int
    ids: NDArray[np.uint64]
    coordinates: NDArray[np.float64]


def stereo_measurement(matches: TrackedMatches) -> StereoMeasurement:
    """The measurement of a stereo pair. Raises `PlugError` for matches over time."""
    if not matches.stereo:
        raise PlugError("msckf takes stereo pairs; run the node in mode stereo")
    coordinates = np.hstack([matches.reference_points, matches.points])
    return StereoMeasurement(matches.reference_ns, matches.ids, coordinates)
