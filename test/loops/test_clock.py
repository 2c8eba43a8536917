"""A clock that jumps, under a robot that does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from loops.test_mapping import accepted, off, true_position
from loops.world import ring

from msga_ros.loops.store import KeyframeStore


def test_a_clock_that_goes_back_is_said_and_nothing_else(tmp_path: Path) -> None:
    world = ring(laps=1.3)
    with KeyframeStore(tmp_path / "map") as store:
        mapper = world.mapper(store)
        outcomes = [
            mapper.add(world.view(number, number - (100 if number > 9 else 0), pose))
            for number, pose in enumerate(world.views)
        ]
        assert [note for one in outcomes for note in one.notes] == [
            "the clock went back by 99.000 s"
        ]
        assert len(store) == len(world.views) and off(world, mapper) < 1e-6
        loops = accepted(outcomes)
        assert loops and all(edge.current - edge.reference >= 12 for edge in loops)


def test_a_clock_that_goes_ahead_tears_nothing(tmp_path: Path) -> None:
    world = ring(laps=1.3)
    with KeyframeStore(tmp_path / "map") as store:
        mapper = world.mapper(store)
        outcomes = [
            mapper.add(world.view(number, number + (3600 if number > 9 else 0), pose))
            for number, pose in enumerate(world.views)
        ]
        assert not any(one.notes for one in outcomes)
        assert len(store) == len(world.views) and off(world, mapper) < 1e-6
        assert mapper.map_from_odom is not None
        for edge in accepted(outcomes):
            np.testing.assert_allclose(edge.pose.position, true_position(world, edge), atol=0.02)
