"""The odometry beside the two-view results, of the node and of `msga bag` alike.

A *session* is a trajectory with one origin: the frame that it begins with. A new one begins where
the frames do not go on from those before: after a reset, a jump back in time, a new activation, or
another size, calibration or baseline. Frames that are missing or show nothing do not end a session.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.matches import MatchesLike
from msga_ros.odometry.mono import MonoOdometry
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.rgbd import RgbdOdometry
from msga_ros.odometry.stereo import StereoOdometry
from msga_ros.odometry.updates import OdometryUpdate
from msga_ros.stream.feature_matches import feature_matches
from msga_ros.stream.message_set import stamp_ns
from msga_ros.stream.message_types import Header
from msga_ros.stream.processor import Outcome, Pipeline
from msga_ros.stream.reference_view import View

NO_BASELINE = "the calibration has no baseline (P[0, 3] or P[1, 3] of the right camera)"

CameraParameters = tuple[tuple[int | str, ...], tuple[float, ...]]


@dataclass(frozen=True)
class OdometryResult:
    """What the odometry says of a frame.

    `header`: of the left (or only) image; `reference_header`: of that of the keyframe which
    `update.relative` starts from, None without one. `session`: counts from 1.
    """

    update: OdometryUpdate
    header: Header
    reference_header: Header | None
    session: int


class StreamOdometry:
    """The odometry of a `mode` of the node: stereo and rgbd in metres, temporal without scale.

    Matches that were related already for the messages are not related again. `session` counts from
    1 (0: not begun); `reason` says why the current one began.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        mode: str,
        config: OdometryConfig | None = None,
    ) -> None:
        self._config = config or OdometryConfig()
        self._relate = RelateOnce(pipeline)
        self._mode = mode
        self._odometry: StereoOdometry | RgbdOdometry | MonoOdometry | None = None
        self._epoch = 0
        self._cameras: CameraParameters | None = None
        self._headers: dict[float, Header] = {}  # of frames that a motion may start from
        self._pending = "the first frame"  # why the next frame begins a session
        self.session = 0
        self.reason = ""

    def restart(self, reason: str) -> None:
        """Forget the trajectory: the next frame begins a new session. Track ids go on."""
        if self._odometry is not None:
            self._odometry.reset()
        self._headers = {}
        if self.session:
            self._pending = reason

    def update(
        self, views: list[View], outcome: Outcome | None, epoch: int
    ) -> OdometryResult | None:
        """Take in a set: its views (left, right; or one) and what was made of it.

        None where there is nothing to say: a stereo pair without matches, or a rig whose baseline
        camera_info does not tell.
        """
        if epoch != self._epoch:
            self._epoch = epoch
            self.restart("a reset, a new activation, time that jumped back, or no subscriber")
        if outcome is not None:
            self._relate.remember(outcome)
        rig = None if outcome is None else outcome.rig
        if self._mode == "stereo" and rig is None:
            return None
        self._begin_where_cameras_change(views, rig)
        left = views[0]
        stamp, odometry = stamp_ns(left) * 1e-9, self._odometry
        if isinstance(odometry, StereoOdometry):
            assert outcome is not None
            right = views[1]
            update = odometry.update(
                stamp,
                left.features,
                right.features,
                left.camera,
                right.camera,
                feature_matches(outcome.result),
            )
        elif isinstance(odometry, RgbdOdometry):
            update = odometry.update(stamp, left.features, left.camera, left.depth)
        else:
            assert odometry is not None
            update = odometry.update(stamp, left.features, left.camera)
        return self._result(update, left.header)

    def _begin_where_cameras_change(self, views: list[View], rig: Rig | None) -> None:
        cameras = camera_parameters(views, rig)
        if self._odometry is None or not same_cameras(self._cameras, cameras):
            if self._odometry is not None:
                self.restart("another size, calibration or baseline")
            self._cameras = cameras
            self._odometry = self._made(rig)

    def _made(self, rig: Rig | None) -> StereoOdometry | RgbdOdometry | MonoOdometry:
        if self._mode == "rgbd":
            return RgbdOdometry(self._relate, self._config)
        if rig is None:
            return MonoOdometry(self._relate, self._config)
        return StereoOdometry(rig, self._relate, self._config)

    def _result(self, update: OdometryUpdate, header: Header) -> OdometryResult:
        if self._pending:
            self.session, self.reason, self._pending = self.session + 1, self._pending, ""
        start = update.reference_stamp
        reference = None if start is None else self._headers.get(start)
        kept = {update.stamp: header}
        if start is not None and reference is not None and not update.keyframe:
            kept[start] = reference
        self._headers = kept
        return OdometryResult(update, header, reference, self.session)


class RelateOnce:
    """The pipeline's `relate`; the pair of the newest outcome is not related again.

    A second front end is not asked: its matches name no features.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._known: Outcome | None = None

    def remember(self, outcome: Outcome) -> None:
        """Use the result of `outcome` for its pair."""
        self._known = outcome

    def __call__(
        self, features0: Features, features1: Features, camera0: Camera, camera1: Camera
    ) -> MatchesLike:
        known = self._known
        if (
            known is not None
            and known.reference.features is features0
            and known.current.features is features1
        ):
            return feature_matches(known.result)
        views = features0, features1, camera0, camera1
        return feature_matches(self._pipeline.relate(*views, ask_second=False))


def camera_parameters(views: list[View], rig: Rig | None) -> CameraParameters:
    """All that an odometry takes as given of its cameras: what has to be equal, and numbers."""
    discrete: list[int | str] = []
    numbers: list[float] = []
    for view in views:
        camera = view.camera
        discrete += [*view.size, camera.distortion_model, len(camera.distortion)]
        numbers += [*camera.k.ravel().tolist(), *camera.distortion.tolist()]
    if rig is not None:
        numbers += [*rig.rotation.ravel().tolist(), *rig.translation.tolist()]
    return tuple(discrete), tuple(numbers)


def same_cameras(one: CameraParameters | None, other: CameraParameters) -> bool:
    """Whether the cameras are equal but for rounding, which moves no point by a pixel."""
    if one is None or one[0] != other[0]:
        return False
    return bool(np.allclose(one[1], other[1], rtol=1e-4, atol=1e-5))
