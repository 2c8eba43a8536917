"""The way in ~/path: bounded, thinned, and the newest pose always there."""

from __future__ import annotations

import numpy as np

from msga_ros.stream.thinned_path import ThinnedPath


def walk(way: ThinnedPath[int], session: int, metres: list[float], length: int = 1000) -> list[int]:
    for number, x in enumerate(metres):
        way.add(session, np.array([x, 0.0, 0.0]), number, length, spacing=1.0)
    return way.items


def test_poses_lie_apart_and_the_newest_is_there() -> None:
    assert walk(ThinnedPath(), 1, [0.0, 0.4, 1.1, 1.2, 2.3, 2.4]) == [0, 2, 4, 5]


def test_a_camera_that_stands_still_makes_no_way() -> None:
    assert walk(ThinnedPath(), 1, [0.0] * 50) == [0, 49]


def test_a_long_way_stays_short_and_whole() -> None:
    items = walk(ThinnedPath(), 1, [float(x) for x in range(1000)], length=50)
    assert len(items) <= 51
    assert items[0] == 0 and items[-1] == 999
    assert max(np.diff(items)) <= 64  # evenly: nothing is cut off


def test_a_new_session_is_a_new_way() -> None:
    way: ThinnedPath[int] = ThinnedPath()
    walk(way, 1, [float(x) for x in range(100)], length=20)
    assert walk(way, 2, [500.0, 501.5, 503.0]) == [0, 1, 2]
