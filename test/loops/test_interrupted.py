"""A mapper that takes up what another one has left does what that one would have done."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loops.world import World, drifting, ring

from msga_ros.bags.state import from_bytes, to_bytes
from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.reports import Outcome
from msga_ros.loops.store import KeyframeStore, StoreError

# Loops that wait for two witnesses, an odometry that jumps, and no two views a keyframe.
SETTINGS: dict[str, Any] = {"support": 2, "strong_inliers": 10_000, "keyframe_distance": 1.5}


def odometry(world: World) -> list[Pose]:
    found = drifting(world.views, yaw_deg=1.0)
    away = Pose(np.eye(3), np.array([0.0, 0.0, 40.0]))
    return [*found[:19], *(one.after(away) for one in found[19:])]


def said(outcome: Outcome) -> tuple[Any, ...]:
    edges = [
        (edge.reference, edge.current, edge.support, edge.pose.position.tolist(),
         edge.pose.covariance.tolist())
        for edge in (*outcome.accepted, *outcome.taken_back)
    ]  # fmt: skip
    return outcome.verdict, outcome.keyframe, edges, outcome.notes, outcome.corrected


def path(mapper: LoopMapper) -> list[Any]:
    return [None if one.pose is None else one.pose.translation.tolist() for one in mapper.path()]


def test_after_any_view(tmp_path: Path) -> None:
    optimise = find_spec("gtsam") is not None
    world = ring(laps=2.0, steps=12)
    poses, settings = odometry(world), {**SETTINGS, "optimise": optimise}
    views = [world.view(number, number, pose) for number, pose in enumerate(poses)]
    with KeyframeStore(tmp_path / "whole") as store:
        mapper = world.mapper(store, **settings)
        outcomes, states = [], []
        for view in views:
            states.append((to_bytes(mapper.state_dict()), store.end))
            outcomes.append(mapper.add(view))
        assert len(mapper.edges) >= 6
        expected = path(mapper)
    whole = (tmp_path / "whole").read_bytes()
    for begin in (16, 20):
        state, end = states[begin]
        broken = tmp_path / f"broken {begin}"
        broken.write_bytes(whole[: states[begin + 2][1]])  # it had come two views farther
        with KeyframeStore(broken, end=end) as store:
            mapper = world.mapper(store, **settings)
            mapper.load_state_dict(from_bytes(state))
            assert to_bytes(mapper.state_dict()) == state
            again = [said(mapper.add(view)) for view in views[begin:]]
            found = path(mapper)
        assert again == [said(one) for one in outcomes[begin:]] and found == expected, begin
        assert broken.read_bytes() == whole


def test_a_state_of_another_map(tmp_path: Path) -> None:
    world = ring()
    with KeyframeStore(tmp_path / "map") as store:
        mapper = world.mapper(store)
        state = mapper.state_dict()
        world.play(mapper, world.views[:2])
        with pytest.raises(ValueError, match="another number of keyframes"):
            mapper.load_state_dict(state)
        end = store.end
    with pytest.raises(StoreError, match="shorter than an interrupted run"):
        KeyframeStore(tmp_path / "map", end=end + 1)
