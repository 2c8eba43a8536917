"""Other odometries on the same frames, for `price_of_motion.py`: each from frame to pose.

- `opencv`: what OpenCV alone gives to a stereo odometry: corners, Lucas-Kanade, and PnP with RANSAC
  on points triangulated by the rig, the keyframe being the frame before.
- `toy-vo` (`pip install toy-vo`, GPL-2.0-or-later): stereo; optical flow and a window of keyframes.
- `open3d` (`pip install open3d`, MIT): colour and depth; dense alignment with the frame before, by
  colour and geometry (`Hybrid`), all settings as they are but the depth range.
- `orb-slam3`: see `orb_slam.py`.

None of them is needed by anything else; they see undistorted images and the same calibration.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from orb_slam import OrbSlam

from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.poses import pose_matrix

Array = NDArray[np.float64]
Step = Callable[[Frame], Array]  # pose (4, 4) of the left camera in the frame of the first

_FARTHEST = 5.0  # m: beyond it a structured-light sensor says little


class OpenCv:
    """Corners, Lucas-Kanade and PnP with RANSAC, from each frame to the next."""

    def __init__(self, first: Frame) -> None:
        self._pose = np.eye(4)
        self._rig = rig_of(first)
        self._before: tuple[NDArray[np.uint8], NDArray[np.float32], Array] | None = None

    def __call__(self, frame: Frame) -> Array:
        left, right = (grey(frame.images[side]) for side in (LEFT, RIGHT))
        if self._before is not None:
            image, corners, points = self._before
            seen, found, _ = cv2.calcOpticalFlowPyrLK(image, left, corners, None)
            good = found[:, 0] == 1
            known, turn, shift, _ = cv2.solvePnPRansac(
                points[good], seen[good], frame.cameras[LEFT].k, None, reprojectionError=1.0
            )
            if known:
                step = pose_matrix(cv2.Rodrigues(turn)[0], shift[:, 0])
                self._pose = self._pose @ np.linalg.inv(step)
        self._before = (left, *self._triangulated(left, right, frame))
        return self._pose

    def _triangulated(
        self, left: NDArray[np.uint8], right: NDArray[np.uint8], frame: Frame
    ) -> tuple[NDArray[np.float32], Array]:
        """Corners (N, 1, 2) of the left image and their points (N, 3) in the left camera."""
        corners = cv2.goodFeaturesToTrack(left, 300, 0.003, 8)
        seen, found, _ = cv2.calcOpticalFlowPyrLK(left, right, corners, None)
        first = frame.cameras[LEFT].k @ np.eye(3, 4)
        beside = np.hstack([self._rig.rotation, self._rig.translation[:, None]])
        second = frame.cameras[RIGHT].k @ beside
        lifted = cv2.triangulatePoints(first, second, corners[:, 0].T, seen[:, 0].T)
        with np.errstate(all="ignore"):
            points = (lifted[:3] / lifted[3]).T
        level = np.abs(seen - corners)[:, 0, 1] < 2.0
        good = (found[:, 0] == 1) & level & (points[:, 2] > 0.5) & (points[:, 2] < 100.0)
        return corners[good], points[good].astype(np.float64)


class ToyVo:
    """`toy_vo.StereoEstimator` as it is."""

    def __init__(self, first: Frame) -> None:
        from toy_vo import StereoEstimator

        rig = rig_of(first)
        cameras = [
            value
            for side in (LEFT, RIGHT)
            for value in (
                first.cameras[side].k.copy(),
                np.zeros(5),
                "OpenCVModel5",
                first.cameras[side].width,
                first.cameras[side].height,
            )
        ]
        turn = cv2.Rodrigues(rig.rotation)[0][:, 0]
        self._estimator = StereoEstimator(*cameras, turn, rig.translation.copy())

    def __call__(self, frame: Frame) -> Array:
        images = (np.ascontiguousarray(grey(frame.images[side])) for side in (LEFT, RIGHT))
        return np.array(self._estimator.process_frame(*images)["T_w_cam0"])


class Open3d:
    """`open3d.t.pipelines.odometry.rgbd_odometry_multi_scale`, from each frame to the next."""

    def __init__(self, first: Frame) -> None:
        import open3d

        self._open3d = open3d
        self._k = open3d.core.Tensor(first.cameras[LEFT].k)
        self._pose = np.eye(4)
        self._before: object = None

    def __call__(self, frame: Frame) -> Array:
        geometry = self._open3d.t.geometry
        assert frame.depth is not None
        colour = np.ascontiguousarray(cv2.cvtColor(frame.images[LEFT], cv2.COLOR_BGR2RGB))
        depth = np.nan_to_num(frame.depth, nan=0.0).astype(np.float32)
        image = geometry.RGBDImage(*map(geometry.Image, (colour, depth)))
        if self._before is not None:
            found = self._open3d.t.pipelines.odometry.rgbd_odometry_multi_scale(
                image, self._before, self._k, depth_scale=1.0, depth_max=_FARTHEST
            )
            self._pose = self._pose @ found.transformation.numpy()
        self._before = image
        return self._pose


PEERS: dict[str, Callable[[Frame], Step]] = {
    "opencv": OpenCv,
    "toy-vo": ToyVo,
    "open3d": Open3d,
    "orb-slam3": lambda first: OrbSlam(first, rig_of(first) if RIGHT in first.images else None),
}


def rig_of(frame: Frame) -> Rig:
    """The rig of a stereo frame."""
    assert frame.poses is not None
    right = frame.poses[RIGHT].relative_to(frame.poses[LEFT])
    return Rig(right.rotation, right.translation)


def grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One channel of 8 bits."""
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
