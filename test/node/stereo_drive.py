"""Outcomes of a stereo rig that drives among known points, with no images and no network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from odometry.rig_scene import CAMERA, RIG, Scene, same_index
from stream.fakes import raw_header

from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.matches import FilteredMatches
from msga_ros.odometry.observations import Rig
from msga_ros.stream.camera_info import rig_from_camera_info
from msga_ros.stream.processor import Outcome
from msga_ros.stream.reference_view import View
from msga_ros.stream.stereo_tracking import StereoTracking
from msga_ros.stream.stream_odometry import OdometryResult

STEP_NS = 100_000_000


def camera_infos(rig: Rig, camera: Camera = CAMERA) -> dict[str, Any]:
    """camera_info of both sides, as OpenCV's calibration would write it for `rig`."""
    none = np.zeros(5)
    size = (camera.width, camera.height)
    found = cv2.stereoRectify(camera.k, none, camera.k, none, size, rig.rotation, rig.translation)
    return {
        "left": SimpleNamespace(r=found[0].ravel(), p=found[2].ravel()),
        "right": SimpleNamespace(r=found[1].ravel(), p=found[3].ravel()),
    }


@dataclass(frozen=True)
class Related(FilteredMatches):
    """What the tracking reads of a `TwoViewResult`."""

    keypoints0: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 2), np.float32))
    keypoints1: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 2), np.float32))
    refused: Related | None = None

    @property
    def of_features(self) -> Related:
        return self.refused or self


class StereoDrive:
    """Frames of `scene` seen by the rig `true_rig`, while camera_info says `RIG`."""

    def __init__(
        self,
        frames: int = 10,
        true_rig: Rig = RIG,
        seed: int = 3,
        config: OdometryConfig | None = None,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self.scene = Scene.drive(self._rng, frames, points=400)
        self._rig = true_rig
        self.camera, self.size = CAMERA, (640, 480)
        self.infos = camera_infos(RIG)
        self.fail = False
        self.said: list[str] = []
        self.errors: list[Exception] = []
        self.tracking = StereoTracking(self, self.said.append, self.errors.append, config)

    def extract(self, image: Any) -> Any:
        """Part of a pipeline; nothing here has images."""
        raise AssertionError("nothing is extracted")

    def relate(
        self, features0: Features, features1: Features, *cameras: Camera, ask_second: bool = True
    ) -> Any:
        """The true matches; or an exception, if `fail`."""
        assert not ask_second  # for the odometry, which needs matches of the features
        if self.fail:
            raise np.linalg.LinAlgError("singular")
        if min(len(features0), len(features1)) == 0:
            none = np.empty(0, np.int64)
            return Related(none, none, np.empty(0, bool), np.empty(0, np.float32))
        return Related(**vars(same_index(features0, features1, *cameras)))

    def outcome(self, frame: int, blind: bool = False, stamp: int | None = None) -> Outcome:
        """What the processor would make of a frame."""
        ns = STEP_NS * frame if stamp is None else stamp
        seen = [
            replace(self.scene.view(frame, self._rng, 0.3, rig), image_size=self.size)
            for rig in (None, self._rig)
        ]
        if blind:
            nothing = np.empty((0, 2), np.float32)
            scores = np.empty(0, np.float32)
            seen = [Features(nothing, scores, scores[:, None], self.size)] * 2
        pixels = np.zeros((1, 1), np.uint8)
        views = [
            View(raw_header(ns, f"{side}_optical"), pixels, self.camera, features)
            for side, features in zip(("left", "right"), seen, strict=True)
        ]
        matches = same_index(*seen, CAMERA, CAMERA)
        result = Related(
            **vars(matches),
            keypoints0=seen[0].keypoints[matches.indices0],
            keypoints1=seen[1].keypoints[matches.indices1],
        )
        none = np.empty(0, dtype=np.uint64)
        rig = rig_from_camera_info(self.infos["left"], self.infos["right"], False)
        return Outcome(views[0], views[1], result, none, True, False, RIG.baseline, rig)

    def follow(
        self, frame: int, epoch: int = 1, wanted: bool = True, **how: Any
    ) -> tuple[Outcome, OdometryResult | None]:
        """Give a frame to the tracking."""
        return self.tracking.update(self.outcome(frame, **how), epoch, wanted)

    def go(self, *frames: int, epoch: int = 1) -> OdometryResult:
        """Give frames to the tracking; where the last one is."""
        odometry_result = [self.follow(frame, epoch)[1] for frame in frames][-1]
        assert odometry_result is not None
        return odometry_result
