"""Stereo measurements, used the way MSCKF-VIO uses them."""

from __future__ import annotations

import numpy as np
import pytest
from plugs.scene import BASELINE, FISHEYE, SPEED, Scene

from msga_ros.plugs.matches import PlugError, tracked_matches
from msga_ros.plugs.msckf import stereo_measurement


def test_features_over_several_frames_give_the_points() -> None:
    """By id, its observations in all frames; the camera poses then fix the point."""
    scene = Scene(camera=FISHEYE)
    observed: dict[int, list[tuple[float, np.ndarray]]] = {}
    for number in range(4):
        measurement = stereo_measurement(tracked_matches(scene.stereo(number), FISHEYE, FISHEYE))
        assert measurement.stamp_ns == scene.stamp(number)
        assert len(set(measurement.ids.tolist())) == len(measurement.ids)
        seconds = (measurement.stamp_ns - scene.stamp(0)) * 1e-9
        for identity, row in zip(measurement.ids.tolist(), measurement.coordinates, strict=True):
            observed.setdefault(identity, []).append((seconds, row))
    assert len(observed) == len(scene.points) - 2
    for identity, rows in observed.items():
        assert len(rows) == 4
        equations, right_side = [], []
        for seconds, (u0, v0, u1, v1) in rows:
            for (u, v), offset in (((u0, v0), 0.0), ((u1, v1), BASELINE)):
                centre = SPEED * seconds + [offset, 0, 0]
                for line in ([1.0, 0.0, -u], [0.0, 1.0, -v]):
                    equations.append(line)
                    right_side.append(line @ centre)
        point = np.linalg.lstsq(np.array(equations), np.array(right_side), rcond=None)[0]
        np.testing.assert_allclose(point, scene.points[identity - 1], rtol=2e-3, atol=1e-3)


def test_one_camera_is_refused() -> None:
    with pytest.raises(PlugError, match="stereo"):
        stereo_measurement(tracked_matches(Scene().temporal(0, 1)))


def test_message_without_tracks_is_refused() -> None:
    with pytest.raises(PlugError, match="track_ids"):
        tracked_matches(Scene().stereo(0, track_ids=np.empty(0, dtype=np.uint64)))
