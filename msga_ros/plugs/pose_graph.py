"""`RelativePose` as an edge of a pose graph: g2o, GTSAM, Ceres and whatever reads their files.

The measurement of the edge (i, j) is the pose of camera j in camera i: reference and current. The
messages give the error along the axes of the reference camera, `p_true = p + dp` and `R_true =
exp([r]) R`. Graph optimisers compare in the frame of the measurement itself, `Z^-1 T_i^-1 T_j`,
so both parts are turned by `R^T` here. docs/plugs/pose_graph.md holds the conventions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.rotations import quaternion, rotation_from_quaternion
from msga_ros.plugs.matches import PlugError
from msga_ros.stream.message_set import header_ns
from msga_ros.stream.message_types import Quaternion, RelativePose, Vector3

Array = NDArray[np.float64]

STATUS_OK, STATUS_DEGENERATE = 0, 2
READERS = ("g2o", "gtsam")
_SMALLEST_SIGMA = 1e-6  # m or rad: no match measures better, and an inverse stays finite


@dataclass(frozen=True)
class Edge:
    """A relative pose between two stamps (ns): `x_from = rotation x_to + translation`.

    `covariance` (6, 6): of `Z^-1 Z_true`, in the axes of the *to* camera, order x, y, z (m), then
    the rotation vector (rad). `information` (6, 6): its inverse, and 0 in the directions that were
    not measured. `metric`: the translation is in metres. Raises `PlugError` for equal stamps: a
    vertex has no edge to itself.
    """

    from_ns: int
    to_ns: int
    rotation: Array
    translation: Array
    covariance: Array
    information: Array
    metric: bool

    def __post_init__(self) -> None:
        if self.from_ns == self.to_ns:
            stamp = f"{self.from_ns // 10**9}.{self.from_ns % 10**9:09d}"
            raise PlugError(f"an edge from the view of {stamp} to itself")

    @property
    def g2o_information(self) -> Array:
        """(6, 6) of x, y, z, qx, qy, qz, as g2o's EDGE_SE3:QUAT: half angles, so four times the
        weight."""
        scale = np.diag([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
        return scale @ self.information @ scale

    @property
    def rotation_first_information(self) -> Array:
        """(6, 6) of the rotation vector, then x, y, z, as GTSAM's BetweenFactorPose3."""
        order = [3, 4, 5, 0, 1, 2]
        return self.information[np.ix_(order, order)]


def edge_from_relative_pose(
    message: RelativePose, length: float | None = None, length_sigma: float | None = None
) -> Edge | None:
    """The edge that a `RelativePose` message stands for; None where it says nothing.

    Two views do not tell the length of their translation. Where the message does not know it:

    - `length` and `length_sigma` given (metres; from wheels, a height, a model of motion): the
      direction is scaled, and the covariance gains `length_sigma` along it: a full edge.
    - nothing given: the translation has length 1 and the information along it is 0. The edge then
      constrains the rotation and the direction, and no length; the rest of the graph must.

    A message with status DEGENERATE gives an edge of the rotation alone. None: no pose, or one
    without covariance. Raises `PlugError` for two cameras of one rig, as in `~/relative_pose` of a
    stereo pair: that is where they are mounted and no motion (`~/temporal_pose` is); and for
    numbers that are no pose.
    """
    _check_motion(message)
    status = int(message.status)
    covariance: Array = np.array(message.covariance, dtype=np.float64).reshape(6, 6)
    if status not in (STATUS_OK, STATUS_DEGENERATE) or covariance[0, 0] < 0:
        return None
    if (length is None) != (length_sigma is None):
        raise PlugError("length and length_sigma are given together, or not at all")
    rotation, translation = _motion(message, covariance)
    metric = bool(message.translation_scale_known)
    unmeasured: Array = np.zeros((6, 0))
    if status == STATUS_DEGENERATE:
        translation, metric = np.zeros(3), False
        covariance[:3], covariance[:, :3] = 0.0, 0.0
        unmeasured = np.eye(6)[:, :3]
    elif not metric:
        direction: Array = np.zeros(6)
        direction[:3] = translation / np.linalg.norm(translation)
        if length is None or length_sigma is None:
            unmeasured = direction[:, None]
        else:
            if not (length > 0 and length_sigma > 0):
                raise PlugError("length and length_sigma must be positive")
            units = np.diag([length] * 3 + [1.0] * 3)
            covariance = units @ covariance @ units
            covariance += length_sigma**2 * np.outer(direction, direction)
            translation, metric = length * direction[:3], True
    stamps = header_ns(message.reference_header), header_ns(message.header)
    return edge_between(*stamps, rotation, translation, covariance, unmeasured, metric)


def edge_between(
    from_ns: int,
    to_ns: int,
    rotation: Array,
    translation: Array,
    covariance: Array,
    unmeasured: Array,
    metric: bool,
) -> Edge:
    """The edge of a pose, `x_from = rotation x_to + translation`, with the covariance (6, 6) of
    `RelativePose.msg`, along the axes of the *from* camera; `unmeasured` (6, K): directions in
    which nothing is known, orthonormal. Raises `PlugError` for equal stamps."""
    turn = np.kron(np.eye(2), rotation.T)
    covariance = turn @ covariance @ turn.T
    return Edge(
        from_ns=from_ns,
        to_ns=to_ns,
        rotation=rotation,
        translation=translation,
        covariance=covariance,
        information=_information(covariance, turn @ unmeasured),
        metric=metric,
    )


def g2o_vertex(number: int, rotation: Array, translation: Array) -> str:
    """A line VERTEX_SE3:QUAT: the pose `x_world = R x_camera + t` of a camera, `rotation` (3, 3)
    and `translation` (3,)."""
    return f"VERTEX_SE3:QUAT {number} {_numbers(_pose(rotation, translation))}"


def g2o_edge(from_number: int, to_number: int, edge: Edge, reader: str = "g2o") -> str:
    """A line EDGE_SE3:QUAT: measurement, then the upper triangle of the information, by rows.

    `reader`: one of `READERS`. The format has the rotation as a quaternion, half an angle; GTSAM's
    `readG2o` takes the same numbers as those of the rotation vector. Raises `PlugError` for an
    edge of a vertex to itself and another reader.
    """
    if from_number == to_number:
        raise PlugError(f"an edge from vertex {from_number} to itself")
    if reader not in READERS:
        raise PlugError(f"no reader {reader!r} of .g2o files (there are: {', '.join(READERS)})")
    information = edge.g2o_information if reader == "g2o" else edge.information
    upper = information[np.triu_indices(6)]
    values = [*_pose(edge.rotation, edge.translation), *upper]
    return f"EDGE_SE3:QUAT {from_number} {to_number} {_numbers(values)}"


def pose_of(
    message: str, orientation: Quaternion, offset: Vector3, covariance: Array
) -> tuple[Array, Array]:
    """Rotation (3, 3) and translation (3,) of a `message` of this name; `PlugError` where they, or
    its covariance, are no numbers of a pose."""
    turn: Array = np.array([orientation.x, orientation.y, orientation.z, orientation.w], np.float64)
    translation: Array = np.array([offset.x, offset.y, offset.z], np.float64)
    parts = {"rotation": turn, "translation": translation, "covariance": covariance}
    for name, numbers in parts.items():
        if not np.isfinite(numbers).all():
            raise PlugError(f"the {name} of a {message} holds NaN or infinity")
    if abs(np.linalg.norm(turn) - 1.0) > 0.01:
        raise PlugError(f"the rotation of a {message} is no unit quaternion: {turn.tolist()}")
    x, y, z, w = turn.tolist()
    return rotation_from_quaternion((x, y, z, w)), translation


def _motion(message: RelativePose, covariance: Array) -> tuple[Array, Array]:
    """Rotation (3, 3) and translation (3,) of a message; `PlugError` where they are none."""
    given = message.transform
    motion = pose_of("RelativePose", given.rotation, given.translation, covariance)
    directed = int(message.status) == STATUS_OK and not message.translation_scale_known
    if directed and not motion[1].any():
        raise PlugError("the translation of a RelativePose is no direction: 0, 0, 0")
    return motion


def _check_motion(message: RelativePose) -> None:
    """Raise `PlugError` unless a message relates two views of one camera at different times."""
    frames = [one.frame_id for one in (message.reference_header, message.header)]
    stamps = [header_ns(one) for one in (message.reference_header, message.header)]
    if stamps[0] != stamps[1] and frames[0] == frames[1]:
        return
    what = "one stamp" if stamps[0] == stamps[1] else f"the frames {frames[0]!r} and {frames[1]!r}"
    raise PlugError(
        f"two views of {what} are no edge of a pose graph: ~/relative_pose of mode stereo relates "
        "the cameras of the rig, ~/temporal_pose is the motion"
    )


def _information(covariance: Array, unmeasured: Array) -> Array:
    """Inverse on the directions that were measured, 0 on the others (columns, orthonormal)."""
    rest = np.linalg.svd(unmeasured, full_matrices=True)[0][:, unmeasured.shape[1] :]
    values, vectors = np.linalg.eigh(rest.T @ covariance @ rest)
    basis = rest @ vectors
    inverse = basis @ np.diag(1.0 / np.maximum(values, _SMALLEST_SIGMA**2)) @ basis.T
    return np.asarray((inverse + inverse.T) / 2, dtype=np.float64)


def _pose(rotation: Array, translation: Array) -> list[float]:
    return [*translation.tolist(), *quaternion(rotation)]


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:.15g}" for value in values)
