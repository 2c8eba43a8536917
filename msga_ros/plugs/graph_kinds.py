"""Metric edges as graphs of two other kinds compare them: in the plane, and similarities.

Graphs of full poses take an `Edge` as it is (docs/plugs/pose_graph.md); which system wants which is
in docs/plugs/loops.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.plugs.matches import PlugError
from msga_ros.plugs.pose_graph import Edge

Array = NDArray[np.float64]

_STEEPEST_DEG = 10.0  # between the z axes of the two poses of an edge in the plane


@dataclass(frozen=True)
class PlanarEdge:
    """The *to* pose in the *from* pose: `x`, `y` in metres, `yaw` in radians; stamps in ns.

    `covariance` (3, 3): of x, y, yaw, along the axes of the *from* pose.
    """

    from_ns: int
    to_ns: int
    x: float
    y: float
    yaw: float
    covariance: Array

    def covariance_along(self, heading: float) -> Array:
        """(3, 3), along axes in which the *from* pose has this heading (rad): in a map its heading
        there; along the axes of the *to* pose, as g2o's EDGE_SE2 and GTSAM's BetweenFactorPose2
        compare, `-yaw`."""
        cosine, sine = np.cos(heading), np.sin(heading)
        turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        return np.asarray(turn @ self.covariance @ turn.T)


def planar_edge(edge: Edge) -> PlanarEdge:
    """What an edge says in the plane of x and y: for poses of a robot whose z axis points up.

    Raises `PlugError` for an edge without length, and where the z axes of the two poses differ by
    more than 10 degrees: poses of a camera's optical frame, as a rule.
    """
    _check_metric(edge)
    tilt = float(np.rad2deg(np.arccos(np.clip(edge.rotation[2, 2], -1.0, 1.0))))
    if tilt > _STEEPEST_DEG:
        raise PlugError(
            f"the z axes of both poses differ by {tilt:.0f} degrees: no edge in the plane"
        )
    rows = [0, 1, 5]
    return PlanarEdge(
        from_ns=edge.from_ns,
        to_ns=edge.to_ns,
        x=float(edge.translation[0]),
        y=float(edge.translation[1]),
        yaw=float(np.arctan2(edge.rotation[1, 0], edge.rotation[0, 0])),
        covariance=_of_from_pose(edge)[np.ix_(rows, rows)],
    )


def sim3_information(edge: Edge) -> Array:
    """(7, 7) for g2o's EdgeSim3, whose vertices are world to camera, as ORB-SLAM's.

    Vertex 0 is the edge's *to* pose, vertex 1 its *from* pose, the measurement `edge.rotation`,
    `edge.translation` and the scale 1. Its error is the rotation vector, the translation, and the
    logarithm of the scale, of which the edge knows nothing: 0. Raises `PlugError` for an edge
    without length.
    """
    _check_metric(edge)
    x, y, z = edge.translation
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    # A rotation error r turns the translation, too: by r x t.
    into = np.block([[np.zeros((3, 3)), np.eye(3)], [np.eye(3), cross]])
    back = np.linalg.inv(into)
    turn = np.kron(np.eye(2), edge.rotation)
    information: Array = np.zeros((7, 7))
    information[:6, :6] = back.T @ turn @ edge.information @ turn.T @ back
    return information


def _of_from_pose(edge: Edge) -> Array:
    """The covariance along the axes of the *from* pose."""
    turn = np.kron(np.eye(2), edge.rotation)
    return np.asarray(turn @ edge.covariance @ turn.T)


def _check_metric(edge: Edge) -> None:
    if not edge.metric:
        raise PlugError("an edge without a length in metres has no place in this graph")
