"""The pose graph: wrong loops found out, and the file as GTSAM and g2o themselves read it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loops.world import drifting, ring

from msga_ros.cli.loops_files import graph_lines
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import rotation_from_quaternion
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.drift import OdometryChain
from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.pose_graph import MissingGtsam, PoseGraph
from msga_ros.loops.reports import LoopEdge, ScaleSource
from msga_ros.loops.store import KeyframeStore
from msga_ros.odometry.poses import UncertainPose
from msga_ros.two_view.result import Status

COVARIANCE = np.diag([0.02] * 3 + [0.005] * 3) ** 2
TRUTH = ring(laps=2.0).views


def chain(odometry: list[Pose]) -> OdometryChain:
    made = OdometryChain(LoopConfig())
    for pose in odometry:
        made.append(pose, 0)
    return made


def loop(reference: int, current: int, shift: tuple[float, float, float] = (0, 0, 0)) -> LoopEdge:
    motion = TRUTH[current].relative_to(TRUTH[reference]).inverse()
    pose = UncertainPose(motion.rotation, motion.translation + np.array(shift), COVARIANCE)
    return LoopEdge(reference, current, 0.0, 0.0, pose, 99, ScaleSource.DEPTH, Status.OK, 0.5)


def distance(poses: list[Pose | None]) -> float:
    offs = [np.sum((a.centre - b.centre) ** 2) for a, b in zip(poses, TRUTH, strict=True) if a]
    return float(np.sqrt(np.mean(offs)))


def test_a_wrong_loop_among_right_ones_is_rejected() -> None:
    pytest.importorskip("gtsam", reason="gtsam has no wheel for this Python")
    odometry = drifting(TRUTH, yaw_deg=1.0)
    right = [loop(number, number + 16) for number in range(0, 16, 3)]
    wrong = loop(5, 21, (3.0, 0.0, -2.0))
    graph = PoseGraph(chain(odometry))
    found = graph.solve(odometry, [*right[:3], wrong, *right[3:]])
    assert found.rejected == (wrong,)
    assert distance(found.poses) < distance([*odometry]) / 3
    alone = graph.solve(odometry, right)
    assert alone.rejected == () and distance(alone.poses) < distance([*odometry]) / 3
    # No loop: nothing moves. A loop without a length is none for the graph.
    assert graph.solve(odometry, []).poses == odometry


def test_without_gtsam_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gtsam", None)
    with pytest.raises(MissingGtsam, match="slam"):
        PoseGraph(OdometryChain(LoopConfig()))


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> LoopMapper:
    """Two laps with drift, not optimised; the store stays open for the module."""
    world = ring(laps=1.6)
    store = KeyframeStore(tmp_path_factory.mktemp("loops") / "map")
    mapper = world.mapper(store)
    world.play(mapper, drifting(world.views, yaw_deg=1.5))
    assert len(mapper.edges) >= 5
    return mapper


def off(places: list[np.ndarray]) -> float:
    truth = [one.centre for one in TRUTH[: len(places)]]
    return float(np.sqrt(np.mean(np.sum((np.array(places) - np.array(truth)) ** 2, axis=1))))


def before(mapper: LoopMapper) -> float:
    return off([one.pose.centre for one in mapper.path() if one.pose is not None])


def test_the_file_begins_where_the_keyframes_are(mapped: LoopMapper) -> None:
    words = [line.split() for line in graph_lines(mapped)]
    vertices = {int(one[1]): np.array(one[2:], float) for one in words if one[0].startswith("VER")}
    assert vertices.keys() == {one.number for one in mapped.path()}
    for one in mapped.path():
        assert one.pose is not None
        vertex = vertices[one.number]
        assert np.allclose(vertex[:3], one.pose.centre, atol=1e-6)
        assert np.allclose(rotation_from_quaternion(vertex[3:]), one.pose.rotation.T, atol=1e-6)


def test_gtsam_reads_the_graph_and_takes_the_drift_out(mapped: LoopMapper, tmp_path: Path) -> None:
    gtsam: Any = pytest.importorskip("gtsam", reason="gtsam has no wheel for this Python")
    path = tmp_path / "graph.g2o"
    lines = [one for one in graph_lines(mapped, "gtsam") if not one.startswith("FIX")]
    path.write_text("\n".join(lines) + "\n")
    graph, values = gtsam.readG2o(str(path), True)
    assert graph.size() == len(mapped.steps()) + len(mapped.edges)
    first = gtsam.noiseModel.Isotropic.Sigma(6, 1e-4)
    graph.add(gtsam.PriorFactorPose3(0, values.atPose3(0), first))
    found = gtsam.LevenbergMarquardtOptimizer(graph, values).optimize()
    places = [np.asarray(found.atPose3(one.number).translation()) for one in mapped.path()]
    assert off(places) < before(mapped) / 3


def test_g2o_reads_the_graph_and_takes_the_drift_out(mapped: LoopMapper, tmp_path: Path) -> None:
    g2o: Any = pytest.importorskip("g2opy", reason="g2opy is not installed")
    path = tmp_path / "graph.g2o"
    path.write_text("\n".join(graph_lines(mapped)) + "\n")
    optimizer = g2o.SparseOptimizer()
    solver = g2o.BlockSolverSE3(g2o.LinearSolverEigenSE3())
    optimizer.set_algorithm(g2o.OptimizationAlgorithmLevenberg(solver))
    assert optimizer.load(str(path))
    assert len(optimizer.edges()) == len(mapped.steps()) + len(mapped.edges)
    assert optimizer.vertex(0).fixed()
    optimizer.initialize_optimization()
    optimizer.optimize(20)
    places = [
        np.asarray(optimizer.vertex(one.number).estimate().translation()) for one in mapped.path()
    ]
    assert off(places) < before(mapped) / 3
