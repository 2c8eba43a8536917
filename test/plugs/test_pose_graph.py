"""Edges, used by a small pose-graph optimiser with the error functions of g2o and GTSAM."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from plugs.scene import START_NS, header
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from msga_ros.plugs.g2o import pose_graph_lines
from msga_ros.plugs.matches import PlugError
from msga_ros.plugs.pose_graph import Edge, edge_from_relative_pose, g2o_edge, g2o_vertex

SIGMA = np.array([0.02, 0.05, 0.03, 0.01, 0.004, 0.006])  # x, y, z, rx, ry, rz in the reference


def message(
    rotation: Rotation,
    translation: np.ndarray,
    covariance: np.ndarray,
    metric: bool = True,
    status: int = 0,
) -> SimpleNamespace:
    x, y, z, w = rotation.as_quat()
    tx, ty, tz = translation
    return SimpleNamespace(
        header=header(START_NS + 5, "camera"),
        reference_header=header(START_NS, "camera"),
        status=status,
        transform=SimpleNamespace(
            translation=SimpleNamespace(x=tx, y=ty, z=tz),
            rotation=SimpleNamespace(x=x, y=y, z=z, w=w),
        ),
        translation_scale_known=metric,
        covariance=covariance.ravel(),
    )


def full_covariance() -> np.ndarray:
    mix = np.eye(6) + 0.3 * np.random.default_rng(1).standard_normal((6, 6))
    return mix @ np.diag(SIGMA**2) @ mix.T


def measured(rng: np.random.Generator, rotation: Rotation, position: np.ndarray) -> Any:
    """A message whose error is drawn from its covariance, in the convention of RelativePose."""
    covariance = full_covariance()
    error = rng.multivariate_normal(np.zeros(6), covariance)
    # p_true = p + dp, R_true = exp(r) R
    estimate = Rotation.from_rotvec(error[3:]).inv() * rotation
    return message(estimate, position - error[:3], covariance)


def g2o_error(line: str, poses: list[tuple[Rotation, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Parse EDGE_SE3:QUAT and return error (6,) and information (6, 6) as g2o has them."""
    words = line.split()
    assert words[0] == "EDGE_SE3:QUAT"
    i, j = int(words[1]), int(words[2])
    values = np.array([float(word) for word in words[3:]])
    assert len(values) == 7 + 21
    z_position, z_rotation = values[:3], Rotation.from_quat(values[3:7])
    information = np.zeros((6, 6))
    information[np.triu_indices(6)] = values[7:]
    information += np.triu(information, 1).T
    (r0, p0), (r1, p1) = poses[i], poses[j]
    relative, offset = r0.inv() * r1, r0.inv().apply(p1 - p0)
    turned = z_rotation.inv() * relative
    vector = turned.as_quat()
    vector = vector[:3] * np.sign(vector[3])
    return np.concatenate([z_rotation.inv().apply(offset - z_position), vector]), information


def test_g2o_line_is_consistent_with_the_noise() -> None:
    """The squared error of the true poses in the edge's own metric is chi-square of 6."""
    rng = np.random.default_rng(2)
    squared = []
    for _ in range(400):
        rotation, position = Rotation.random(rng=rng), rng.normal(size=3)
        world = (Rotation.random(rng=rng), rng.normal(size=3))
        current = (world[0] * rotation, world[0].apply(position) + world[1])
        edge = edge_from_relative_pose(measured(rng, rotation, position))
        assert edge is not None and edge.metric
        assert (edge.from_ns, edge.to_ns) == (START_NS, START_NS + 5)
        error, information = g2o_error(g2o_edge(0, 1, edge), [world, current])
        squared.append(error @ information @ error)
    # Mean 6, standard deviation of the mean sqrt(12 / 400) = 0.17.
    assert np.mean(squared) == pytest.approx(6.0, abs=0.6)


def test_gtsam_order_is_consistent_with_the_noise() -> None:
    rng = np.random.default_rng(3)
    squared = []
    for _ in range(400):
        rotation, position = Rotation.random(rng=rng), rng.normal(size=3)
        edge = edge_from_relative_pose(measured(rng, rotation, position))
        assert edge is not None
        estimate = Rotation.from_matrix(edge.rotation)
        error = np.concatenate(
            [
                (estimate.inv() * rotation).as_rotvec(),
                estimate.inv().apply(position - edge.translation),
            ]
        )
        squared.append(error @ edge.rotation_first_information @ error)
    assert np.mean(squared) == pytest.approx(6.0, abs=0.6)


def test_a_loop_is_closed() -> None:
    """A small graph: odometry around a square, and one exact edge that closes it."""
    rng = np.random.default_rng(4)
    quarter = Rotation.from_rotvec([0, np.pi / 2, 0])
    truth = [(Rotation.identity(), np.zeros(3))]
    for _ in range(4):
        rotation, position = truth[-1]
        truth.append((rotation * quarter, rotation.apply([0.0, 0.0, 2.0]) + position))
    lines = []
    for number in range(4):
        edge = edge_from_relative_pose(measured(rng, quarter, np.array([0.0, 0.0, 2.0])))
        assert edge is not None
        lines.append(g2o_edge(number, number + 1, edge))
    closing = message(Rotation.identity(), np.zeros(3), 1e-8 * np.eye(6))
    edge = edge_from_relative_pose(closing)
    assert edge is not None
    lines.append(g2o_edge(0, 4, edge))

    def poses(values: np.ndarray) -> list[tuple[Rotation, np.ndarray]]:
        rows = values.reshape(-1, 6)
        return [truth[0], *((Rotation.from_rotvec(row[3:]), row[:3]) for row in rows)]

    def residuals(values: np.ndarray) -> np.ndarray:
        found = []
        for line in lines:
            error, information = g2o_error(line, poses(values))
            found.append(np.linalg.cholesky(information).T @ error)
        return np.concatenate(found)

    start = np.concatenate([[*p, *r.as_rotvec()] for r, p in truth[1:]]) + 0.05
    solution = least_squares(residuals, start)
    optimised = poses(solution.x)
    assert np.linalg.norm(optimised[4][1]) < 1e-3  # back where it began
    for (_, position), (_, true_position) in zip(optimised, truth, strict=True):
        assert np.linalg.norm(position - true_position) < 0.3
    assert 2 * solution.cost < 25  # 6 measurements too many; chi-square of 6


def unit_edge(**options: Any) -> Edge | None:
    """Of a message without scale: direction z, uncertain across it."""
    covariance = np.diag([0.01, 0.02, 0.0, 0.001, 0.001, 0.001]) ** 2
    direction = np.array([0.0, 0.0, 1.0])
    made = message(Rotation.from_rotvec([0, 0.5, 0]), direction, covariance, metric=False)
    return edge_from_relative_pose(made, **options)


def test_edge_without_scale_says_nothing_about_length() -> None:
    edge = unit_edge()
    assert edge is not None and not edge.metric
    assert np.linalg.matrix_rank(edge.information, tol=1e-6) == 5
    along = np.zeros(6)
    along[:3] = edge.rotation.T @ edge.translation
    np.testing.assert_allclose(edge.information @ along, 0.0, atol=1e-6)
    origin = (Rotation.identity(), np.zeros(3))
    turn = Rotation.from_matrix(edge.rotation)
    for length in (0.2, 1.0, 30.0):  # whatever the length, no cost
        error, information = g2o_error(
            g2o_edge(0, 1, edge), [origin, (turn, length * edge.translation)]
        )
        assert error @ information @ error == pytest.approx(0.0, abs=1e-6)
    error, information = g2o_error(g2o_edge(0, 1, edge), [origin, (turn, np.array([0.1, 0, 1.0]))])
    assert error @ information @ error == pytest.approx((0.1 / 0.01) ** 2, rel=1e-6)


def test_edge_with_a_length_from_elsewhere() -> None:
    edge = unit_edge(length=4.0, length_sigma=0.5)
    assert edge is not None and edge.metric
    np.testing.assert_allclose(edge.translation, [0, 0, 4])
    in_reference = edge.rotation @ edge.covariance[:3, :3] @ edge.rotation.T
    np.testing.assert_allclose(in_reference, np.diag([0.04, 0.08, 0.5]) ** 2, atol=1e-12)
    np.testing.assert_allclose(
        edge.information, np.linalg.inv(edge.covariance), rtol=1e-6, atol=1e-6
    )
    with pytest.raises(PlugError):
        unit_edge(length=4.0)


def test_degenerate_pose_is_an_edge_of_rotation() -> None:
    made = message(Rotation.identity(), np.array([1.0, 0, 0]), full_covariance(), False, status=2)
    edge = edge_from_relative_pose(made)
    assert edge is not None
    assert not edge.information[:3].any() and not edge.information[:, :3].any()
    np.testing.assert_allclose(
        edge.information[3:, 3:], np.linalg.inv(full_covariance()[3:, 3:]), rtol=1e-6
    )


def test_no_pose_no_edge() -> None:
    unknown = np.zeros((6, 6))
    unknown[0, 0] = -1
    assert edge_from_relative_pose(message(Rotation.identity(), np.zeros(3), unknown)) is None
    lost = message(Rotation.identity(), np.zeros(3), full_covariance(), status=1)
    assert edge_from_relative_pose(lost) is None


def test_vertex_line() -> None:
    rotation = Rotation.from_euler("y", 90, degrees=True).as_matrix()
    words = g2o_vertex(3, rotation, np.array([1.0, 2.0, 3.0])).split()
    assert words[:2] == ["VERTEX_SE3:QUAT", "3"]
    values = [float(word) for word in words[2:]]
    np.testing.assert_allclose(values, [1, 2, 3, 0, 0.5**0.5, 0, 0.5**0.5])


def test_graph_file_holds_views_and_edges() -> None:
    step = message(Rotation.identity(), np.array([0.0, 0.0, 1.0]), full_covariance())
    messages = []
    for number in range(3):
        made = SimpleNamespace(**vars(step))
        made.reference_header = header(START_NS + number, "camera")
        made.header = header(START_NS + number + 1, "camera")
        messages.append(made)
    lines = [line.split() for line in pose_graph_lines(messages)]
    assert [line[0] for line in lines] == [
        *["VERTEX_SE3:QUAT"] * 4, "FIX", *["EDGE_SE3:QUAT"] * 3,
    ]  # fmt: skip
    assert [float(line[4]) for line in lines[:4]] == [0.0, 1.0, 2.0, 3.0]
    assert [line[1:3] for line in lines[5:]] == [["0", "1"], ["1", "2"], ["2", "3"]]


@pytest.mark.parametrize(("later_ns", "frame"), [(0, "right"), (0, "camera"), (2_000_000, "right")])
def test_two_cameras_of_one_rig_are_no_edge(later_ns: int, frame: str) -> None:
    """Left against right, with and without a common trigger: where the cameras are mounted."""
    made = message(Rotation.identity(), np.array([0.3, 0, 0]), full_covariance())
    made.header = header(START_NS + later_ns, frame)
    with pytest.raises(PlugError, match="temporal_pose"):
        edge_from_relative_pose(made)
    with pytest.raises(PlugError, match="temporal_pose"):
        pose_graph_lines([made])


def test_a_vertex_has_no_edge_to_itself() -> None:
    edge = edge_from_relative_pose(message(Rotation.identity(), np.ones(3), full_covariance()))
    assert edge is not None
    with pytest.raises(PlugError, match="vertex 49 to itself"):
        g2o_edge(49, 49, edge)
    with pytest.raises(PlugError, match="to itself"):
        replace(edge, to_ns=edge.from_ns)
    with pytest.raises(PlugError, match="no reader 'ceres'"):
        g2o_edge(0, 1, edge, "ceres")


NONE = np.full(3, np.nan)


@pytest.mark.parametrize(
    ("translation", "covariance", "metric", "reason"),
    [
        (NONE, np.eye(6), True, "translation of a RelativePose holds NaN"),
        (np.ones(3), np.full((6, 6), np.nan), True, "covariance of a RelativePose holds NaN"),
        (np.zeros(3), np.eye(6), False, "no direction"),
    ],
)
def test_numbers_that_are_no_pose_are_refused(
    translation: np.ndarray, covariance: np.ndarray, metric: bool, reason: str
) -> None:
    with pytest.raises(PlugError, match=reason):
        edge_from_relative_pose(message(Rotation.identity(), translation, covariance, metric))


@pytest.mark.parametrize("numbers", [(0.0, 0.0, 0.0, 0.0), (np.nan, 0.0, 0.0, 1.0)])
def test_a_quaternion_that_is_no_rotation_is_refused(numbers: tuple[float, ...]) -> None:
    broken = message(Rotation.identity(), np.ones(3), np.eye(6))
    broken.transform.rotation = SimpleNamespace(**dict(zip("xyzw", numbers, strict=True)))
    with pytest.raises(PlugError, match="the rotation of a RelativePose"):
        edge_from_relative_pose(broken)


def test_degenerate_views_need_no_direction() -> None:
    unknown = message(Rotation.identity(), np.zeros(3), np.eye(6), metric=False, status=2)
    assert edge_from_relative_pose(unknown) is not None
