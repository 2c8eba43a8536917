"""The feature topic of VINS-Fusion: `sensor_msgs/PointCloud` with nine channels.

What its `feature_callback` reads: point i is (x, y, 1), normalised and undistorted; the channels
are, by their order, id, camera_id, u, v, vx, vy and three more that it reads whenever there are
more than five, so they must exist (it keeps them as a known position, for simulations; zero here).
Its feature manager then asserts that every id is seen by camera 0, at most once more by camera 1,
and camera 0 first. docs/plugs/vins.md says how to connect it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.plugs.matches import TrackedMatches

Array = NDArray[np.float64]

CHANNELS = ("id", "camera_id", "u", "v", "vx", "vy", "gx", "gy", "gz")
# Ids travel as float32, which holds whole numbers up to here exactly.
ID_LIMIT = 1 << 24
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

    Stereo: the left view is camera 0, the right one camera 1. Temporal: the current view is camera
    0. Velocities are in normalised coordinates per second, 0 for a track seen for the first time.
    """

    def __init__(self) -> None:
        self._seen: dict[int, dict[int, tuple[float, float]]] = {}
        self._stamp_ns: int | None = None

    def reset(self) -> None:
        """Forget what was seen, as after a jump in time."""
        self._seen, self._stamp_ns = {}, None

    def __call__(self, matches: TrackedMatches) -> FeatureCloud:
        """The cloud of the newest views."""
        if matches.stereo:
            views = {
                0: (matches.reference_points, matches.reference_pixels),
                1: (matches.points, matches.pixels),
            }
            stamp_ns = matches.reference_ns
        else:
            views = {0: (matches.points, matches.pixels)}
            stamp_ns = matches.current_ns
        ids = (matches.ids % np.uint64(ID_LIMIT)).astype(np.int64)
        elapsed = None if self._stamp_ns is None else stamp_ns - self._stamp_ns
        if elapsed is None or not 0 < elapsed <= _FORGET_AFTER_NS:
            self.reset()
        if self._stamp_ns is None and not matches.stereo:
            # The first message of one camera brings the view before along.
            elapsed = stamp_ns - matches.reference_ns
            self._remember(0, ids, matches.reference_points)
        seconds = (elapsed or 0) * 1e-9
        rows = []
        for camera, (points, pixels) in views.items():
            velocity = self._velocity(camera, ids, points, seconds)
            rows.append(_rows(ids, camera, points, pixels, velocity))
        for camera, (points, _) in views.items():
            self._remember(camera, ids, points)
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
