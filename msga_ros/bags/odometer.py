"""The odometry beside a run: a pose for every set of messages, and its state to go on from.

The state holds feature descriptors and is large, so it does not go into the journal with every set:
it is kept as one file, which holds data alone (see `state`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msga_ros.bags.motion import StampedPose
from msga_ros.bags.state import StateError, from_bytes, to_bytes
from msga_ros.geometry.camera import CameraError, stereo_baseline
from msga_ros.node.processor import Outcome, Pipeline
from msga_ros.node.synchronizer import stamp_ns
from msga_ros.node.views import View
from msga_ros.odometry.mono import MonoOdometry
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.stereo import StereoOdometry
from msga_ros.odometry.updates import OdometryUpdate


class Odometer:
    """Stereo odometry in mode stereo (metres), mono odometry in mode temporal (no scale).

    Matches that were related already for the messages are not related again.
    """

    def __init__(self, pipeline: Pipeline, stereo: bool, rectified: bool) -> None:
        self._relate = _Relate(pipeline)
        self._stereo = stereo
        self._rectified = rectified
        self._odometry: Any = None if stereo else MonoOdometry(self._relate)
        self._epoch = 0

    def update(
        self, views: list[View], outcome: Outcome | None, infos: Mapping[str, Any], epoch: int
    ) -> OdometryUpdate | None:
        """Take in a set: its views (left, right; or one) and what was made of it.

        None where there is nothing to say: a stereo pair without matches, or a rig whose baseline
        camera_info does not tell.
        """
        if epoch != self._epoch:
            self._epoch = epoch
            if self._odometry is not None:
                self._odometry.reset()
        if outcome is not None:
            self._relate.remember(outcome)
        left = views[0]
        stamp = stamp_ns(left) * 1e-9
        if not self._stereo:
            update: OdometryUpdate = self._odometry.update(stamp, left.features, left.camera)
            return update
        if self._odometry is None:
            rig = rig_from_camera_info(infos["left"], infos["right"], self._rectified)
            if rig is None:
                return None
            self._odometry = StereoOdometry(rig, self._relate)
        if outcome is None:
            return None
        right = views[1]
        update = self._odometry.update(
            stamp, left.features, right.features, left.camera, right.camera, outcome.result
        )
        return update

    def state(self) -> bytes:
        """Everything that the next update depends on."""
        return to_bytes((self._epoch, self._odometry), {"relate": self._relate})

    def restore(self, state: bytes) -> None:
        """Go on from `state`. Raises `StateError` for anything else."""
        found = from_bytes(state, {"relate": self._relate})
        if type(found) is not tuple or len(found) != 2 or type(found[0]) is not int:
            raise StateError("not the state of an odometry")
        epoch, odometry = found
        kind = StereoOdometry if self._stereo else MonoOdometry
        begun = type(odometry) is kind and vars(odometry).get("_relate") is self._relate
        if not begun and not (odometry is None and self._stereo):
            raise StateError(f"not the state of a {kind.__name__}")
        self._epoch, self._odometry = epoch, odometry


def rig_from_camera_info(left: Any, right: Any, rectified: bool) -> Rig | None:
    """`x_right = R x_left + t` of the images as received; None where P tells no baseline.

    In rectified frames the right camera is moved by P[0, 3] / fx (a vertical rig: P[1, 3] / fy);
    R of each camera_info takes the raw frame to the rectified one.
    """
    try:
        if stereo_baseline(right) <= 0:
            return None
    except CameraError:
        return None
    p = np.asarray(right.p, dtype=np.float64).reshape(3, 4)
    shift = np.array([p[0, 3] / p[0, 0], p[1, 3] / p[1, 1], 0.0])
    if rectified:
        return Rig(np.eye(3), shift)
    turns = [np.asarray(one.r, dtype=np.float64).reshape(3, 3) for one in (left, right)]
    return Rig(turns[1].T @ turns[0], turns[1].T @ shift)


def stamped(update: OdometryUpdate, stamp: int) -> StampedPose | None:
    """The pose in an update, with the stamp (ns) of its image."""
    if update.pose is None:
        return None
    return StampedPose(stamp, update.pose.rotation, update.pose.position)


def persistent_ids(update: OdometryUpdate, outcome: Outcome) -> NDArray[np.uint64]:
    """Track ids (N,) of the rows of a stereo outcome, as the odometry follows the left features.

    0 for outliers, and for features that the odometry does not follow (yet).
    """
    rows = np.zeros(len(outcome.reference.features), dtype=np.uint64)
    if update.matches is not None:
        rows[update.matches.indices1[update.inlier]] = update.track_ids[update.inlier]
    ids = rows[outcome.result.indices0]
    ids[~np.asarray(outcome.result.inlier, dtype=bool)] = 0
    # Two right features for one left feature: the most probable match keeps the id.
    order = np.argsort(-outcome.result.inlier_probability, kind="stable")
    first = order[np.unique(ids[order], return_index=True)[1]]
    once = np.zeros(len(ids), dtype=bool)
    once[first] = True
    return np.where(once, ids, np.uint64(0))


class _Relate:
    """The pipeline's `relate`, which knows the pair that it was asked for last."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._known: Outcome | None = None

    def remember(self, outcome: Outcome) -> None:
        """This outcome is at hand."""
        self._known = outcome

    def __call__(self, features0: Any, features1: Any, camera0: Any, camera1: Any) -> Any:
        known = self._known
        if (
            known is not None
            and known.reference.features is features0
            and known.current.features is features1
        ):
            return known.result
        return self._pipeline.relate(features0, features1, camera0, camera1)
