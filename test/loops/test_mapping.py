"""A map of loops in a made-up world: right loops, right lengths, bad days."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loops.world import CAMERA, World, drifting, ring

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.reports import LoopEdge, Outcome, RightView, ScaleSource, Verdict
from msga_ros.loops.store import KeyframeStore


def accepted(outcomes: list[Outcome]) -> list[LoopEdge]:
    return [edge for one in outcomes for edge in one.accepted]


def true_position(world: World, edge: LoopEdge) -> np.ndarray:
    """Of the current camera in the reference one; keyframes are the views here."""
    return world.views[edge.current].relative_to(world.views[edge.reference]).inverse().translation


def off(world: World, mapper: LoopMapper) -> float:
    """Root mean square distance of the map from the truth, m."""
    places = [one.pose for one in mapper.path()]
    assert all(one is not None for one in places)
    return float(
        np.sqrt(
            np.mean(
                [
                    np.sum((pose.centre - true.centre) ** 2)
                    for pose, true in zip(places, world.views, strict=True)
                    if pose is not None
                ]
            )
        )
    )


def test_a_second_lap_closes_true_loops_with_the_length_of_the_odometry(tmp_path: Path) -> None:
    world = ring()
    with KeyframeStore(tmp_path / "map", in_memory=3) as store:
        mapper = world.mapper(store)
        outcomes = world.play(mapper, drifting(world.views, scale=1.1))
        loops = accepted(outcomes)
        assert len(store) == 32 and len(loops) >= 12 and mapper.edges == tuple(loops)
        for edge in loops:
            assert edge.scale is ScaleSource.ODOMETRY and edge.current - edge.reference >= 12
            expected = 1.1 * true_position(world, edge)
            np.testing.assert_allclose(edge.pose.position, expected, atol=0.05)
            motion = world.views[edge.current].relative_to(world.views[edge.reference])
            assert rotation_angle_deg(motion.rotation @ edge.pose.rotation) < 0.5
        # Without a pose graph the map is the odometry.
        np.testing.assert_allclose(
            mapper.path()[-1].pose.centre, drifting(world.views, scale=1.1)[-1].centre
        )
        shift = mapper.map_from_odom
        assert shift is not None and np.allclose(shift.translation, 0, atol=1e-9)


def test_the_pose_graph_takes_the_drift_out(tmp_path: Path) -> None:
    pytest.importorskip("gtsam", reason="gtsam has no wheel for this Python")
    world = ring()
    odometry = drifting(world.views, yaw_deg=1.5)
    with KeyframeStore(tmp_path / "map") as store:
        mapper = world.mapper(store, optimise=True)
        outcomes = world.play(mapper, odometry)
        before = np.sqrt(
            np.mean(
                [
                    np.sum((a.centre - b.centre) ** 2)
                    for a, b in zip(odometry, world.views, strict=True)
                ]
            )
        )
        assert off(world, mapper) < before / 3
        assert any(one.corrected for one in outcomes) and not any(
            one.taken_back for one in outcomes
        )
        # What the odometry says of the last view, brought to the map, is where the map has it.
        shift = mapper.map_from_odom
        assert shift is not None
        last = odometry[-1].after(shift.inverse())
        np.testing.assert_allclose(last.centre, mapper.path()[-1].pose.centre, atol=1e-6)
    with KeyframeStore(tmp_path / "map") as store:  # a restart knows the same map
        again = world.mapper(store, optimise=True)
        assert [(one.reference, one.current) for one in again.edges] == [
            (one.reference, one.current) for one in mapper.edges
        ]
        assert off(world, again) < before / 3
        assert again.map_from_odom is None  # the odometry of this run is another one


def test_depth_gives_the_length_where_odometry_is_wrong(tmp_path: Path) -> None:
    world = ring(laps=1.3)
    # The wall as the camera sees it, from the nearest points: a plane a view.
    with KeyframeStore(tmp_path / "map") as store:
        mapper = world.mapper(store, strong_inliers=30)
        shift = Pose(np.eye(3), np.array([-0.2, 0.0, 0.0]))
        seconds = [shift.after(one) for one in world.views]
        count = len(world.views)
        world.views += seconds
        odometry = drifting(world.views[:count], scale=1.2)
        found = []
        for number, pose in enumerate(odometry):
            image = world.view(count + number, 0.0, None).image
            right = RightView(image, CAMERA, shift)
            found.append(mapper.add(world.view(number, number, pose, right=right)))
        loops = accepted(found)
        assert len(loops) >= 3
        for edge in loops:
            assert edge.scale is ScaleSource.DEPTH
            np.testing.assert_allclose(edge.pose.position, true_position(world, edge), atol=0.02)


def test_two_views_without_odometry_have_no_length(tmp_path: Path) -> None:
    world = ring(laps=1.3)
    with KeyframeStore(tmp_path / "map") as store:
        loops = accepted(world.play(world.mapper(store), [None] * len(world.views)))  # type: ignore[list-item]
    assert loops
    for edge in loops:
        assert edge.scale is ScaleSource.NONE and not edge.metric
        assert np.trace(edge.pose.covariance[:3, :3]) > 1e6


@pytest.mark.parametrize("known", [True, False])
def test_a_robot_that_stands_still_for_an_hour(tmp_path: Path, known: bool) -> None:
    world = ring(laps=0.1)
    with KeyframeStore(tmp_path / "map") as store:
        mapper = world.mapper(store)
        rng = np.random.default_rng(0)
        for second in range(0, 3600, 1 if known else 600):
            jitter = Pose(np.eye(3), 0.001 * rng.normal(size=3))
            odometry = jitter.after(world.views[0]) if known else None
            found = mapper.add(world.view(0, float(second), odometry))
            assert found.verdict is (Verdict.STILL if second else Verdict.KEYFRAME)
            assert not found.accepted and not found.notes
        assert len(store) == 1


def test_a_jump_of_the_odometry_is_said_and_mended_by_loops(tmp_path: Path) -> None:
    world = ring(laps=1.5)
    jumped = Pose(np.eye(3), np.array([30.5, 0.0, 4.0]))
    odometry = [one if number < 12 else one.after(jumped) for number, one in enumerate(world.views)]
    with KeyframeStore(tmp_path / "map") as store:
        mapper = world.mapper(store)
        notes, unknown = [], 0
        for number, pose in enumerate(odometry):
            found = mapper.add(world.view(number, number, pose))
            notes += found.notes
            unknown += mapper.map_from_odom is None
        assert len(notes) == 1 and "the odometry jumped by 30" in notes[0]
        assert unknown >= 1 and mapper.map_from_odom is not None
        assert off(world, mapper) < 0.3


def test_an_odometry_that_begins_anew_where_it_was_is_no_way_back(tmp_path: Path) -> None:
    """Its origin is now where the camera is: by the numbers alone nothing has jumped."""
    world = ring(laps=1.5)
    here = world.views[12].inverse()
    odometry = [one if number < 12 else one.after(here) for number, one in enumerate(world.views)]
    with KeyframeStore(tmp_path / "map") as store:
        mapper = world.mapper(store, jump_distance=100.0, jump_angle=180.0)
        notes = []
        for number, pose in enumerate(odometry):
            view = world.view(number, number, pose, session=1 + (number >= 12))
            notes += mapper.add(view).notes
        assert len(notes) == 1 and "began anew" in notes[0]
        assert mapper.map_from_odom is not None and off(world, mapper) < 0.3


def test_odometry_that_is_no_number(tmp_path: Path) -> None:
    world = ring(laps=0.5)
    with KeyframeStore(tmp_path / "map") as store:
        mapper = world.mapper(store)
        poses = list(world.views)
        poses[4] = Pose(np.eye(3), np.full(3, np.nan))
        outcomes = world.play(mapper, poses)
        assert "NaN" in outcomes[4].notes[0]
        path = mapper.path()
        assert [one.pose is None for one in path] == [number == 4 for number in range(len(path))]


def test_two_rooms_that_look_alike(tmp_path: Path) -> None:
    """The same walls stand again 40 m away: what looks like a loop is none by the odometry."""
    world = ring(laps=1.0)
    far = np.array([40.0, 0.0, 0.0])
    twin = [Pose(one.rotation, one.translation - one.rotation @ far) for one in world.views]
    way = [  # from one room to the other, nothing in view
        Pose(world.views[-1].rotation, world.views[-1].translation
             - world.views[-1].rotation @ np.array([x, 0.0, 0.0]))
        for x in np.arange(4.0, 38.0, 4.0)
    ]  # fmt: skip
    world.points = np.vstack([world.points, world.points + far])
    world.names = np.concatenate([world.names, world.names])
    world.views = [*world.views, *way, *twin]
    with KeyframeStore(tmp_path / "map") as store:
        mapper = world.mapper(store, candidates=2)
        outcomes = world.play(mapper, drifting(world.views, yaw_deg=0.3))
        assert any(one.verdict is Verdict.UNUSABLE for one in outcomes)
        first = sum(one.keyframe is not None for one in outcomes[:16])
        assert first == 16 and len(store) >= 32 and world.asked > 20  # they were looked at
        last = len(store) - 16
        notes = [note for one in outcomes for note in one.notes]
        assert notes and all("where it cannot be by the odometry" in note for note in notes)
        between = [one for one in accepted(outcomes) if one.reference < 16 and one.current >= last]
        assert not between


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = ring(laps=1.4)
    with KeyframeStore(tmp_path / "map") as store:
        mapper = world.mapper(store)
        world.play(mapper, world.views[:10])

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space"):
                mapper.add(world.view(10, 10.0, world.views[10]))
        assert len(store) == 10
        outcomes = [
            mapper.add(world.view(number, number, world.views[number])) for number in range(10, 20)
        ]
        loops = accepted(outcomes)
        assert len(store) == 20
        with monkeypatch.context() as patched:  # keyframes fit, loops do not
            patched.setattr(store, "accept", lambda _: full(0))
            late = mapper.add(world.view(20, 20.0, world.views[20]))
            assert late.accepted and "not on the disk yet" in late.notes[0]
        after = mapper.add(world.view(21, 21.0, world.views[21]))
        assert after.accepted and not after.notes
        assert store.edges == (*loops, *late.accepted, *after.accepted)
    with KeyframeStore(tmp_path / "map") as store:
        assert len(world.mapper(store).edges) == len(loops) + len(late.accepted) + len(
            after.accepted
        )


def test_locate(tmp_path: Path) -> None:
    world = ring(laps=1.0)
    away = Pose(world.views[5].rotation, world.views[5].translation + np.array([0.2, 0.05, -0.4]))
    up = Pose(np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ away.rotation, away.translation)
    world.views += [away, up]

    def image(number: int) -> Any:
        return world.view(number, 0.0, None).image

    with KeyframeStore(tmp_path / "map") as store:
        mapper = world.mapper(store)
        assert mapper.locate(image(16), CAMERA).reason == "the map is empty"
        world.play(mapper, world.views[:1])
        assert not mapper.locate(image(16), CAMERA).found
        for number in range(1, 16):
            mapper.add(world.view(number, number, world.views[number]))
        found = mapper.locate(image(16), CAMERA)
        assert found.found and found.pose is not None and found.keyframe in (3, 4, 5, 6, 7)
        np.testing.assert_allclose(found.pose.centre, away.centre, atol=0.05)
        assert rotation_angle_deg(found.pose.rotation @ away.rotation.T) < 0.5
        nowhere = mapper.locate(image(17), CAMERA)
        assert not nowhere.found and nowhere.pose is None and nowhere.reason
        assert len(store) == 16
