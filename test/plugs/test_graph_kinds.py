"""Loops in graphs in the plane and of similarities, held to what these compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plugs.test_loop_edges import COVARIANCE, POSITION, loop, pose
from scipy.spatial.transform import Rotation

from msga_ros.plugs.graph_kinds import PlanarEdge, planar_edge, sim3_information
from msga_ros.plugs.loop_edges import edge_from_loop
from msga_ros.plugs.matches import PlugError
from msga_ros.plugs.pose_graph import Edge

YAW = 0.7
HEADING = -2.2  # of the reference in the map
PLACE = np.array([4.0, -3.0])  # likewise
ROWS = [0, 1, 5]


def flat_loop() -> Edge:
    made = edge_from_loop(loop(base_pose=pose(Rotation.from_rotvec([0.0, 0.0, YAW]), POSITION)))
    assert made is not None
    return made


def turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def true_poses(count: int) -> Iterator[tuple[np.ndarray, float]]:
    """Place and heading in the map of the current pose, by errors drawn as the message has them:
    along the axes of the reference."""
    drawn = np.random.default_rng(3).multivariate_normal(
        np.zeros(3), COVARIANCE[np.ix_(ROWS, ROWS)], count
    )
    for error in drawn:
        yield PLACE + turn(HEADING) @ (POSITION[:2] + error[:2]), HEADING + YAW + error[2]


def karto_cost(edge: PlanarEdge, covariance: np.ndarray, place: np.ndarray, yaw: float) -> float:
    """As slam_toolbox's Ceres solver weighs a link: the place along the axes of the first pose."""
    off = turn(HEADING).T @ (place - PLACE) - np.array([edge.x, edge.y])
    error = np.array([*off, (yaw - HEADING - edge.yaw + np.pi) % (2 * np.pi) - np.pi])
    return float(error @ np.linalg.inv(covariance) @ error)


def test_slam_toolbox_compares_along_the_axes_of_the_reference() -> None:
    """The cost of the true poses is chi-square, 3 degrees; along other axes it is not."""
    edge = planar_edge(flat_loop())
    costs = [karto_cost(edge, edge.covariance, *true) for true in true_poses(3000)]
    assert np.mean(costs) == pytest.approx(3.0, abs=0.15)
    assert np.var(costs) == pytest.approx(6.0, abs=1.0)
    wrong = edge.covariance_along(-edge.yaw)
    assert np.mean([karto_cost(edge, wrong, *true) for true in true_poses(1000)]) > 4.0


def test_a_link_of_karto_is_made_of_two_poses_and_a_covariance_of_the_map() -> None:
    """`LinkInfo` takes the second pose into the first, and turns the covariance by minus the
    heading of the first."""
    edge = planar_edge(flat_loop())
    second = PLACE + turn(HEADING) @ np.array([edge.x, edge.y])  # what it is given
    given = edge.covariance_along(HEADING)
    np.testing.assert_allclose(turn(-HEADING) @ (second - PLACE), POSITION[:2], atol=1e-9)
    back = np.eye(3)
    back[:2, :2] = turn(-HEADING)
    np.testing.assert_allclose(back @ given @ back.T, COVARIANCE[np.ix_(ROWS, ROWS)], atol=1e-12)


def test_gtsam_in_the_plane_compares_along_the_axes_of_the_current_pose() -> None:
    gtsam: Any = pytest.importorskip("gtsam", reason="gtsam has no wheel for this Python")
    edge = planar_edge(flat_loop())
    noise = gtsam.noiseModel.Gaussian.Covariance(edge.covariance_along(-edge.yaw))
    factor = gtsam.BetweenFactorPose2(1, 2, gtsam.Pose2(edge.x, edge.y, edge.yaw), noise)
    costs = []
    for place, heading in true_poses(2000):
        values = gtsam.Values()
        values.insert(1, gtsam.Pose2(*PLACE, HEADING))
        values.insert(2, gtsam.Pose2(*place, heading))
        costs.append(2 * factor.error(values))
    assert np.mean(costs) == pytest.approx(3.0, abs=0.2)


def test_g2o_in_the_plane_does_so_too() -> None:
    g2o: Any = pytest.importorskip("g2opy", reason="g2opy is not installed")
    edge = planar_edge(flat_loop())
    first, second, between = g2o.VertexSE2(), g2o.VertexSE2(), g2o.EdgeSE2()
    first.set_estimate(g2o.SE2(*PLACE, HEADING))
    between.set_vertex(0, first)
    between.set_vertex(1, second)
    between.set_measurement(g2o.SE2(edge.x, edge.y, edge.yaw))
    between.set_information(np.linalg.inv(edge.covariance_along(-edge.yaw)))
    costs = []
    for place, heading in true_poses(2000):
        second.set_estimate(g2o.SE2(*place, heading))
        between.compute_error()
        costs.append(between.chi2())
    assert np.mean(costs) == pytest.approx(3.0, abs=0.2)


def test_what_is_no_edge_in_the_plane_is_refused() -> None:
    tilted = edge_from_loop(loop())
    assert tilted is not None
    with pytest.raises(PlugError, match="differ by 31 degrees: no edge in the plane"):
        planar_edge(tilted)
    unit = replace(flat_loop(), metric=False)
    for refused in (planar_edge, sim3_information):
        with pytest.raises(PlugError, match="without a length"):
            refused(unit)


def sim3(rotation: Rotation, translation: np.ndarray, scale: float = 1.0) -> Any:
    g2o: Any = pytest.importorskip("g2opy", reason="g2opy is not installed")
    return g2o.Sim3(np.asfortranarray(rotation.as_matrix()), translation, scale)


def test_an_edge_of_similarities_goes_from_the_current_camera_to_the_reference() -> None:
    """g2o's own EdgeSim3 between poses as ORB-SLAM keeps them, the world to the camera."""
    g2o: Any = pytest.importorskip("g2opy", reason="g2opy is not installed")
    edge = edge_from_loop(loop(), of_robot=False)
    assert edge is not None
    measured = Rotation.from_matrix(edge.rotation), edge.translation
    reference = Rotation.from_rotvec([0.1, 0.4, -0.2]), np.array([0.3, -1.0, 2.0])  # Tcw

    def current(off: np.ndarray) -> tuple[Rotation, np.ndarray]:
        """Its Tcw, where the pose in the reference is off so far along the reference's axes."""
        true, at = Rotation.from_rotvec(off[3:]) * measured[0], measured[1] + off[:3]
        return true.inv() * reference[0], true.inv().apply(reference[1] - at)

    vertices = [g2o.VertexSim3Expmap(), g2o.VertexSim3Expmap()]
    between = g2o.EdgeSim3()
    vertices[1].set_estimate(sim3(*reference))
    for number, vertex in enumerate(vertices):
        between.set_vertex(number, vertex)
    between.set_measurement(sim3(*measured))
    between.set_information(sim3_information(edge))
    costs = []
    drawn = np.random.default_rng(4).multivariate_normal(np.zeros(6), COVARIANCE, 2000)
    for off in [np.zeros(6), *drawn]:
        vertices[0].set_estimate(sim3(*current(off)))
        between.compute_error()
        costs.append(between.chi2())
    assert costs[0] == pytest.approx(0.0, abs=1e-9)
    assert np.mean(costs[1:]) == pytest.approx(6.0, abs=0.4)
    for off in 1e-3 * drawn[:20]:  # small ones each, not in the mean alone
        vertices[0].set_estimate(sim3(*current(off)))
        between.compute_error()
        expected = off @ np.linalg.inv(COVARIANCE) @ off
        assert between.chi2() == pytest.approx(expected, rel=1e-2)
    vertices[0].set_estimate(sim3(*current(np.zeros(6)), scale=1.5))  # the unit may have drifted
    between.compute_error()
    assert abs(between.error[6]) == pytest.approx(np.log(1.5))
