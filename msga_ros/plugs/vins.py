"""The feature topic of VINS-Fusion: `sensor_msgs/PointCloud` with nine channels.

What its `feature_callback` reads: point i is (x, y, 1), normalised and undistorted; the channels
are, by their order, id, camera_id, u, v, vx, vy and three more that it reads whenever there are
more than five, so they must exist (it keeps them as a known position, for simulations; zero here).
Its feature manager then asserts that every id is seen by camera 0, at most once more by camera 1,
and camera 0 first; and it keeps no frame with an observation, but counts from the first one
(`endFrame = start_frame + size - 1`), so a track must be in every frame until it ends.
docs/plugs/vins.md says how to connect it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.plugs.matches import PlugError, TrackedMatches
from msga_ros.plugs.track_selection import MAX_FEATURES, TrackSelection

Array = NDArray[np.float64]

CHANNELS = ("id", "camera_id", "u", "v", "vx", "vy", "gx", "gy", "gz")
# Ids travel as float32, which holds whole numbers up to here exactly.
ID_LIMIT = 1 << 24
# It optimises features that four frames of its window see, and writes past the end of its arrays
# where there are more than NUM_OF_F of them.
WINDOW_FRAMES, NUM_OF_F, _OBSERVATIONS = 11, 1000, 4
MOST_FEATURES = _OBSERVATIONS * NUM_OF_F // WINDOW_FRAMES
_FORGET_AFTER_NS = 1_000_000_000  # a velocity over a longer time says nothing


@dataclass(frozen=True)
class FeatureCloud:
    """`points` (N, 3) float32 and `channels` (9, N) float32, ready to be put into the message.

    `stamp_ns`: of the image that they were seen in (the left one of a stereo pair).
    """

    stamp_ns: int
    points: NDArray[np.float32]
    channels: NDArray[np.float32]


class FeatureClouds:
    """Makes a cloud of each set of matches; remembers where a track was, for its velocity.

    Stereo: the left view is camera 0, the right one camera 1; a point that the right one has lost
    is in the left one alone. Temporal: the current view is camera 0. At most `max_features`
    features, see `TrackSelection`; an id that pauses never comes back. Velocities are in normalised
    coordinates per second, 0 for a track seen for the first time. Every set must go through here
    and to VINS-Fusion, also an empty one: it counts frames.
    """

    def __init__(self, max_features: int = MAX_FEATURES) -> None:
        """Raises `PlugError` for no feature, or more than VINS-Fusion can hold."""
        if max_features > MOST_FEATURES:
            raise PlugError(
                f"max_features must be at most {MOST_FEATURES}, not {max_features}: VINS-Fusion "
                f"holds {NUM_OF_F} features of four observations in {WINDOW_FRAMES} frames"
            )
        self._selection = TrackSelection(max_features, ID_LIMIT)
        self._seen: dict[int, dict[int, tuple[float, float]]] = {}
        self._stamp_ns: int | None = None

    def reset(self) -> None:
        """Forget what was seen, as after a jump in time."""
        self._seen, self._stamp_ns = {}, None

    def __call__(self, matches: TrackedMatches) -> FeatureCloud:
        """The cloud of the newest views."""
        selected = self._selection(matches)
        chosen, ids = matches.only(selected.rows), selected.ids
        stamp_ns = chosen.reference_ns if chosen.stereo else chosen.current_ns
        elapsed = None if self._stamp_ns is None else stamp_ns - self._stamp_ns
        if elapsed is None or not 0 < elapsed <= _FORGET_AFTER_NS:
            self.reset()
        if self._stamp_ns is None and not chosen.stereo:
            # The first message of one camera brings the view before along.
            elapsed = stamp_ns - chosen.reference_ns
            self._remember(0, ids, chosen.reference_points)
        seconds = (elapsed or 0) * 1e-9
        rows = []
        for camera, (names, points, pixels) in _views(chosen, ids).items():
            velocity = self._velocity(camera, names, points, seconds)
            rows.append(_rows(names, camera, points, pixels, velocity))
            self._remember(camera, names, points)
        self._stamp_ns = stamp_ns
        table = np.concatenate(rows).astype(np.float32)
        return FeatureCloud(stamp_ns, table[:, :3], np.ascontiguousarray(table[:, 3:].T))

    def _velocity(
        self, camera: int, ids: NDArray[np.int64], points: Array, seconds: float
    ) -> Array:
        velocity = np.zeros_like(points)
        before = self._seen.get(camera, {})
        if seconds > 0:
            for row, number in enumerate(ids.tolist()):
                if number in before:
                    velocity[row] = (points[row] - before[number]) / seconds
        return velocity

    def _remember(self, camera: int, ids: NDArray[np.int64], points: Array) -> None:
        places = [(x, y) for x, y in points.tolist()]
        self._seen[camera] = dict(zip(ids.tolist(), places, strict=True))


def _views(
    matches: TrackedMatches, ids: NDArray[np.int64]
) -> dict[int, tuple[NDArray[np.int64], Array, Array]]:
    """By camera: ids, normalised points and pixels of what it sees."""
    if not matches.stereo:
        return {0: (ids, matches.points, matches.pixels)}
    both = matches.paired
    return {
        0: (ids, matches.reference_points, matches.reference_pixels),
        1: (ids[both], matches.points[both], matches.pixels[both]),
    }


def _rows(
    ids: NDArray[np.int64], camera: int, points: Array, pixels: Array, velocity: Array
) -> Array:
    """x, y, z and then the channels of every feature, (N, 12)."""
    count = len(ids)
    return np.column_stack(
        [
            points,
            np.ones(count),
            ids,
            np.full(count, camera),
            pixels,
            velocity,
            np.zeros((count, 3)),
        ]
    )
