"""The .g2o file for GTSAM, read by GTSAM itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugs.test_pose_graph import measured, message
from scipy.spatial.transform import Rotation

from msga_ros.plugs.g2o import pose_graph_lines
from msga_ros.plugs.pose_graph import edge_from_relative_pose

gtsam = pytest.importorskip("gtsam", reason="gtsam has no wheel for this Python")


def read(tmp_path: Path, messages: list[Any], reader: str) -> tuple[Any, Any]:
    """Graph and poses that GTSAM makes of the file."""
    path = tmp_path / f"{reader}.g2o"
    path.write_text("\n".join(pose_graph_lines(messages, reader)) + "\n")
    return gtsam.readG2o(str(path), True)


def information(factor: Any) -> np.ndarray:
    """Of a factor: rotation vector, then translation."""
    whitening = np.asarray(factor.noiseModel().R())
    return np.asarray(whitening.T @ whitening)


def test_gtsam_reads_the_information_that_was_meant(tmp_path: Path) -> None:
    made = measured(np.random.default_rng(0), Rotation.from_rotvec([0.3, -0.2, 0.1]), np.ones(3))
    edge = edge_from_relative_pose(made)
    assert edge is not None
    graph, poses = read(tmp_path, [made], "gtsam")
    (factor,) = [graph.at(i) for i in range(graph.size())]
    assert list(factor.keys()) == [0, 1]
    np.testing.assert_allclose(information(factor), edge.rotation_first_information, rtol=1e-6)
    np.testing.assert_allclose(factor.measured().rotation().matrix(), edge.rotation, atol=1e-9)
    np.testing.assert_allclose(poses.atPose3(1).translation(), edge.translation, atol=1e-9)
    # The file that is right for g2o: four times the weight on the rotation.
    graph, _ = read(tmp_path, [made], "g2o")
    turned = information(graph.at(0))[:3, :3]
    np.testing.assert_allclose(turned, 4 * edge.rotation_first_information[:3, :3], rtol=1e-6)


def test_its_error_is_as_large_as_the_covariance_says(tmp_path: Path) -> None:
    """Twice the error of the true poses is chi-square with 6 degrees of freedom."""
    rng = np.random.default_rng(1)
    squared = []
    for _ in range(300):
        rotation, position = Rotation.random(rng=rng), rng.normal(size=3)
        graph, poses = read(tmp_path, [measured(rng, rotation, position)], "gtsam")
        truth = gtsam.Pose3(gtsam.Rot3(rotation.as_matrix()), position)
        poses.update(0, gtsam.Pose3())
        poses.update(1, truth)
        squared.append(2 * graph.error(poses))
    # Mean 6, standard deviation of the mean sqrt(12 / 300) = 0.2.
    assert np.mean(squared) == pytest.approx(6.0, abs=0.7)


@pytest.mark.parametrize("status", [0, 2])
def test_an_edge_without_length_costs_nothing_along_it(tmp_path: Path, status: int) -> None:
    direction = np.array([0.0, 0.0, 1.0])
    across = np.diag([0.01, 0.02, 0.0, 0.001, 0.001, 0.001]) ** 2
    made = message(Rotation.identity(), direction, across, metric=False, status=status)
    graph, poses = read(tmp_path, [made], "gtsam")
    for length in (0.2, 1.0, 30.0):
        poses.update(1, gtsam.Pose3(gtsam.Rot3(), length * direction))
        assert graph.error(poses) == pytest.approx(0.0, abs=1e-6)
    poses.update(1, gtsam.Pose3(gtsam.Rot3.Rodrigues(0.004, 0, 0), direction))
    # Four standard deviations: half of 16.
    assert graph.error(poses) == pytest.approx(8.0, rel=0.01)
