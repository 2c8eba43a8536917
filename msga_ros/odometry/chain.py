"""Relative poses to a trajectory, with its covariance.

Two consecutive motions share a frame: the noise of its keypoints moves both estimates, mostly in
opposite directions. Taking them for independent makes the covariance of the integrated pose several
times too large, so their correlation is computed from how each estimate depends on each keypoint.
Errors of the calibration are the same in every step: they add up linearly, not as squares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from msga_ros.geometry.pose import skew
from msga_ros.geometry.rotations import rotation_vector
from msga_ros.odometry.observations import (
    CURRENT_ROWS,
    REFERENCE_ROWS,
    REFERENCE_ROWS_AND_DEPTH,
)
from msga_ros.odometry.poses import UncertainPose, composition_jacobians

Array = npt.NDArray[np.float64]
Rows = slice | list[int]


@dataclass(frozen=True)
class Step:
    """A motion and its dependence on the keypoints.

    `pose`: current in reference. `features0`, `features1` (N,): index of each point's keypoint in
    the left image, reference and current. `sensitivity` (N, 6, 9): see `TwoFrameSolution`. `sigma`:
    pixels. `by_constants` (6, K): how K things that are wrong in the same way at every step move
    the pose, each by one standard deviation; part of its covariance.
    """

    pose: UncertainPose
    features0: npt.NDArray[np.int64]
    features1: npt.NDArray[np.int64]
    sensitivity: Array
    sigma: float
    by_constants: Array


class ChainState(TypedDict):
    """What a `PoseChain` goes on from."""

    reference: UncertainPose
    by_constants: Array | None
    arrival: tuple[Step, Array] | None


class PoseChain:
    """The pose of a reference (keyframe) in the frame of the first one, and steps from it."""

    def __init__(self, start: UncertainPose | None = None) -> None:
        self._reference = start or UncertainPose.origin()  # but for the constants
        self._by_constants: Array | None = None
        self._arrival: tuple[Step, Array] | None = None

    def state_dict(self) -> ChainState:
        """What `load_state_dict` takes: poses, arrays and steps."""
        return {
            "reference": self._reference,
            "by_constants": self._by_constants,
            "arrival": self._arrival,
        }

    def load_state_dict(self, state: ChainState) -> None:
        """Go on from the state of another chain."""
        self._reference, self._by_constants = state["reference"], state["by_constants"]
        self._arrival = state["arrival"]

    @property
    def reference(self) -> UncertainPose:
        """The pose of the reference."""
        if self._by_constants is None:
            return self._reference
        return _with(self._reference, self._by_constants)

    def locate(self, step: Step) -> UncertainPose:
        """The pose that `step` leads to from the reference."""
        return _with(*self._follow(step))

    def advance(self, step: Step) -> UncertainPose:
        """Make the frame that `step` leads to the reference; its pose."""
        by_step = composition_jacobians(self._reference, step.pose)[1]
        self._reference, self._by_constants = self._follow(step)
        self._arrival = (step, by_step)
        return self.reference

    def _follow(self, step: Step) -> tuple[UncertainPose, Array]:
        by_last, by_step = composition_jacobians(self._reference, step.pose)
        rest = step.pose.covariance - step.by_constants @ step.by_constants.T
        pose = self._reference.compose(replace(step.pose, covariance=rest), self._shared(step))
        constants = by_step @ step.by_constants
        if self._by_constants is not None:
            constants = by_last @ self._by_constants + constants
        return pose, constants

    def _shared(self, step: Step) -> Array | None:
        """Covariance (6, 6) of the reference's error with that of `step`: keypoints in both."""
        if self._arrival is None:
            return None
        last, by_last = self._arrival
        common = _common(last, step, "features1", CURRENT_ROWS, REFERENCE_ROWS)
        return np.asarray(by_last @ common)


def between(first: Step, second: Step) -> UncertainPose:
    """The motion from the frame that `first` leads to, to that of `second`: both of one reference.

    Pose of the second frame in the first one. What the two have in common (keypoints and depths of
    the reference, what is wrong with the cameras) does not count twice.
    """
    start, end = first.pose, second.pose
    back, way = start.rotation.T, end.position - start.position
    by_second = np.kron(np.eye(2), back)
    by_first = np.eye(6)
    by_first[:3, 3:] = -skew(way)
    by_first = -by_second @ by_first
    rows = REFERENCE_ROWS_AND_DEPTH
    cross = _common(first, second, "features0", rows, rows)
    mixed = by_first @ (cross + first.by_constants @ second.by_constants.T) @ by_second.T
    covariance = by_first @ start.covariance @ by_first.T
    covariance += by_second @ end.covariance @ by_second.T + mixed + mixed.T
    return UncertainPose(back @ end.rotation, back @ way, (covariance + covariance.T) / 2)


def _common(last: Step, step: Step, arrived: str, rows: Rows, rows_of_step: Rows) -> Array:
    """Covariance (6, 6) of the errors of two steps: what was measured in one frame and moved both.

    `arrived`, `rows`: which of the measurements of `last` they are; `rows_of_step`: which of those
    that `step` has of its reference.
    """
    _, rows0, rows1 = np.intersect1d(getattr(last, arrived), step.features0, return_indices=True)
    arriving = last.sensitivity[rows0][:, :, rows]
    leaving = step.sensitivity[rows1][:, :, rows_of_step]
    shared: Array = last.sigma * step.sigma * np.einsum("nir,njr->ij", arriving, leaving)
    return shared


def _with(pose: UncertainPose, by_constants: Array) -> UncertainPose:
    return replace(pose, covariance=pose.covariance + by_constants @ by_constants.T)


def by_distortion(rotation: Array, position: Array, share: float) -> Array:
    """How a motion (3, 3), (3,) is moved (6, 18) by what calibration and lens leave unexplained.

    Position and rotation vector of every motion come out through one linear map each, whose entries
    are off by `share` (a focal length, a camera's axes, a scale): each of the 18 is a column.
    """
    block = np.zeros((6, 18))
    block[:3, :9] = np.kron(position, np.eye(3))
    block[3:, 9:] = np.kron(rotation_vector(rotation), np.eye(3))
    return np.asarray(share * block)
