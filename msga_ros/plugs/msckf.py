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
from msga_ros.plugs.track_selection import MAX_FEATURES, TrackSelection


@dataclass(frozen=True)
class StereoMeasurement:
    """`ids` (M,) and `coordinates` (M, 4): u0, v0, u1, v1. `stamp_ns`: of the left image."""

    stamp_ns: int
    ids: NDArray[np.uint64]
    coordinates: NDArray[np.float64]


class StereoMeasurements:
    """Makes a measurement of each set of matches: at most `max_features`, see `TrackSelection`.

    A point that one camera has lost is no measurement, and its track ends.
    """

    def __init__(self, max_features: int = MAX_FEATURES) -> None:
        """Raises `PlugError` for fewer than one feature."""
        self._selection = TrackSelection(max_features)

    def __call__(self, matches: TrackedMatches) -> StereoMeasurement:
        """The measurement of the newest pair. Raises `PlugError` for matches over time."""
        both = _of_both(matches)
        selected = self._selection(both)
        coordinates = np.hstack([both.reference_points, both.points])[selected.rows]
        return StereoMeasurement(both.reference_ns, selected.ids.astype(np.uint64), coordinates)


def stereo_measurement(matches: TrackedMatches) -> StereoMeasurement:
    """All of a stereo pair, under the ids of the message. Raises `PlugError` for one camera."""
    both = _of_both(matches)
    coordinates = np.hstack([both.reference_points, both.points])
    return StereoMeasurement(both.reference_ns, both.ids, coordinates)


def _of_both(matches: TrackedMatches) -> TrackedMatches:
    if not matches.stereo:
        raise PlugError("msckf takes stereo pairs; run the node in mode stereo")
    return matches.only(np.flatnonzero(matches.paired))
