"""Loops as edges of graphs and as links of RTAB-Map, held to what the consumers compare."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from msga_ros.plugs.loop_edges import edge_from_loop, rtabmap_link
from msga_ros.plugs.matches import PlugError

SECOND = 1_000_000_000
TURN = Rotation.from_rotvec([0.3, -0.5, 1.2])
POSITION = np.array([1.0, -2.0, 0.5])
# Errors that differ in every axis and go together, so that no order or frame passes for another.
# Small ones: graphs compare to first order.
_SIGMAS = 1e-3 * np.array([3.0, 5.0, 7.0, 1.0, 1.5, 2.0])
_ROOT = _SIGMAS[:, None] * np.random.default_rng(0).normal(size=(6, 6))
COVARIANCE = _ROOT @ _ROOT.T + np.diag(_SIGMAS**2)


def header(stamp: int) -> SimpleNamespace:
    sec, nanosec = divmod(stamp, SECOND)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id="camera")


def pose(rotation: Rotation, position: np.ndarray) -> SimpleNamespace:
    at = SimpleNamespace(**dict(zip("xyz", position.tolist(), strict=True)))
    turn = SimpleNamespace(**dict(zip("xyzw", rotation.as_quat().tolist(), strict=True)))
    return SimpleNamespace(
        pose=SimpleNamespace(position=at, orientation=turn), covariance=COVARIANCE.ravel()
    )


def loop(**fields: Any) -> Any:
    values = {
        "action": 0, "reference": 3, "current": 9, "status": 0, "scale": 1,
        "base_frame": "base_link", "base_pose": pose(TURN, POSITION),
        "pose": pose(TURN.inv(), -POSITION),
        "reference_header": header(5 * SECOND), "header": header(60 * SECOND + 7),
    }  # fmt: skip
    return SimpleNamespace(**{**values, **fields})


def test_the_edge_is_that_of_the_robot_or_of_the_camera() -> None:
    edge = edge_from_loop(loop())
    assert edge is not None and edge.metric
    assert (edge.from_ns, edge.to_ns) == (5 * SECOND, 60 * SECOND + 7)
    assert np.allclose(edge.rotation, TURN.as_matrix()) and np.allclose(edge.translation, POSITION)
    edge = edge_from_loop(loop(), of_robot=False)
    assert edge is not None and np.allclose(edge.translation, -POSITION)


@pytest.mark.parametrize(
    "fields", [{"scale": 0}, {"status": 2}, {"base_frame": ""}], ids=["length", "spot", "place"]
)
def test_what_is_not_known_gives_no_edge(fields: dict[str, Any]) -> None:
    assert edge_from_loop(loop(**fields)) is None
    assert rtabmap_link(loop(**fields), {1: 5 * SECOND, 2: 60 * SECOND}) is None


def test_an_edge_that_was_taken_back_is_not_added() -> None:
    with pytest.raises(PlugError, match="keyframes 3 and 9 was taken back"):
        edge_from_loop(loop(action=1))


def test_the_information_is_that_of_the_error_which_graphs_compare() -> None:
    """True poses drawn by the covariance of the message: the cost is chi-square, 6 degrees."""
    edge = edge_from_loop(loop())
    assert edge is not None
    drawn = np.random.default_rng(1).multivariate_normal(np.zeros(6), COVARIANCE, 4000)
    cost = []
    for error in drawn:
        true = Rotation.from_rotvec(error[3:]) * TURN  # along the axes of the reference
        shift = TURN.inv().apply(error[:3])
        turn = (TURN.inv() * true).as_rotvec()
        inside = np.concatenate([shift, turn])
        cost.append(inside @ edge.information @ inside)
    assert abs(np.mean(cost) - 6) < 0.3 and abs(np.var(cost) - 12) < 2


def test_a_link_of_rtabmap_joins_the_nodes_of_both_keyframes() -> None:
    nodes = {7: 5 * SECOND + 30_000_000, 8: 4 * SECOND, 31: 60 * SECOND, 32: 61 * SECOND}
    link = rtabmap_link(loop(), nodes)
    assert link is not None and (link.from_id, link.to_id, link.type) == (7, 31, 4)
    assert np.allclose(link.translation, POSITION)
    assert np.allclose(Rotation.from_quat(link.rotation).as_matrix(), TURN.as_matrix())
    assert rtabmap_link(loop(), nodes, slop=0.01) is None
    assert rtabmap_link(loop(), {}) is None
    assert rtabmap_link(loop(), {1: 30 * SECOND}, slop=100.0) is None  # one node for both


@pytest.mark.parametrize(
    "variances",
    [[0.0] * 6, [1e-30] * 3 + [1.0] * 3, [1e12] * 3 + [1e-4] * 3],
    ids=["none", "tiny", "huge"],
)
def test_the_information_of_a_link_is_one_that_rtabmap_takes(variances: list[float]) -> None:
    """It stops where a number of the diagonal is not finite, or not above 0."""
    sure = pose(TURN, POSITION)
    sure.covariance = np.diag(variances).ravel()
    link = rtabmap_link(loop(base_pose=sure), {1: 5 * SECOND, 2: 60 * SECOND})
    assert link is not None
    information = np.reshape(link.information, (6, 6))
    assert np.isfinite(information).all() and (np.diag(information) > 0).all()
    np.testing.assert_array_equal(information, information.T)


@pytest.mark.parametrize("part", ["rotation", "translation", "covariance"])
def test_numbers_that_are_no_pose_are_refused(part: str) -> None:
    broken = pose(TURN, POSITION)
    if part == "rotation":
        broken.pose.orientation.w = np.nan
    elif part == "translation":
        broken.pose.position.y = np.inf
    else:
        broken.covariance = np.full(36, np.nan)
    with pytest.raises(PlugError, match=f"the {part} of a LoopEdge holds NaN"):
        edge_from_loop(loop(base_pose=broken))


def test_a_rotation_that_was_never_filled_in_is_refused() -> None:
    empty = pose(TURN, POSITION)
    empty.pose.orientation = SimpleNamespace(x=0.0, y=0.0, z=0.0, w=0.0)
    with pytest.raises(PlugError, match="rotation of a LoopEdge is no unit quaternion"):
        edge_from_loop(loop(base_pose=empty))


def test_gtsam_weighs_a_link_as_rtabmap_gives_it() -> None:
    """RTAB-Map swaps the blocks and adds a BetweenFactor: its error is the one that was meant."""
    gtsam = pytest.importorskip("gtsam", reason="GTSAM is not installed")
    link = rtabmap_link(loop(), {1: 5 * SECOND, 2: 60 * SECOND})
    assert link is not None
    information = np.reshape(link.information, (6, 6))
    order = [3, 4, 5, 0, 1, 2]
    noise = gtsam.noiseModel.Gaussian.Information(information[np.ix_(order, order)])
    measured = gtsam.Pose3(
        gtsam.Rot3(Rotation.from_quat(link.rotation).as_matrix()), np.array(link.translation)
    )
    factor = gtsam.BetweenFactorPose3(1, 2, measured, noise)
    start = gtsam.Pose3(gtsam.Rot3.Rz(2.0), np.array([5.0, 6.0, 7.0]))
    drawn = np.random.default_rng(2).multivariate_normal(np.zeros(6), COVARIANCE, 1000)
    cost = []
    for error in drawn:
        true = Rotation.from_rotvec(error[3:]) * TURN
        step = gtsam.Pose3(gtsam.Rot3(true.as_matrix()), POSITION + error[:3])
        values = gtsam.Values()
        values.insert(1, start)
        values.insert(2, start.compose(step))
        cost.append(2 * factor.error(values))
    assert abs(np.mean(cost) - 6) < 0.5


def yaw_deg(rotation: Rotation) -> float:
    """About the world's z axis, of yaw, pitch and roll in this order."""
    return float(rotation.as_euler("ZYX", degrees=True)[0])


def test_a_loop_of_vins_fusion_has_the_position_of_the_edge_and_the_yaws_of_the_world() -> None:
    """Its graph compares `R_old' (t - t_old)`, in the axes of the old IMU, and the difference of
    both yaws in a world whose z is up: the yaw of the edge alone is another angle."""
    old = Rotation.from_euler("ZYX", [20.0, 10.0, 80.0], degrees=True)  # a tilted IMU
    old_position = np.array([3.0, 1.0, 2.0])
    new, new_position = old * TURN, old_position + old.apply(POSITION)
    edge = edge_from_loop(loop())
    assert edge is not None
    relative = old.inv().apply(new_position - old_position)
    np.testing.assert_allclose(edge.translation, relative, atol=1e-9)
    behind = old * Rotation.from_matrix(edge.rotation)
    relative_yaw = yaw_deg(new) - yaw_deg(old)
    assert yaw_deg(behind) - yaw_deg(old) == pytest.approx(relative_yaw, abs=1e-9)
    assert abs(yaw_deg(Rotation.from_matrix(edge.rotation)) - relative_yaw) > 5.0


def test_g2o_in_rtabmap_weighs_the_rotation_of_a_link_a_quarter() -> None:
    """It gives the information to EdgeSE3 as it is, which compares half angles."""
    g2o: Any = pytest.importorskip("g2opy", reason="g2opy is not installed")
    link = rtabmap_link(loop(), {1: 5 * SECOND, 2: 60 * SECOND})
    assert link is not None

    def isometry(rotation: Rotation, position: np.ndarray) -> Any:
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation.as_matrix(), position
        return g2o.Isometry3d(matrix)

    between, ends = g2o.EdgeSE3(), [g2o.VertexSE3(), g2o.VertexSE3()]
    for number, end in enumerate(ends):
        between.set_vertex(number, end)
    measured = Rotation.from_quat(link.rotation), np.array(link.translation)
    between.set_measurement(isometry(*measured))
    information = np.reshape(link.information, (6, 6))
    between.set_information(information)
    ends[0].set_estimate(isometry(Rotation.identity(), np.zeros(3)))
    for axis in range(6):
        error = 1e-3 * np.eye(6)[axis]  # along the axes of the *to* node
        ends[1].set_estimate(
            isometry(
                measured[0] * Rotation.from_rotvec(error[3:]),
                measured[1] + measured[0].apply(error[:3]),
            )
        )
        between.compute_error()
        meant = information[axis, axis] * 1e-6
        assert between.chi2() == pytest.approx(meant / (4 if axis > 2 else 1), rel=1e-3)
