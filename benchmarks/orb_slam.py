"""ORB-SLAM3 as a peer of `price_of_motion.py`: stereo, or colour with depth.

`pip install pyorbslam3` (GPL-3.0; needs OpenGL's libraries), and a vocabulary, whose file
`PYORBSLAM3_VOCAB` names: its authors', or one by `orb_vocabulary.py`. Its threads work while frames
come in at their rate, or `ORB_SLAM_SLOWER` times slower where others use the machine; the CPU time
is that of all its threads. A pose is what it says when the frame comes, as a robot would have it;
where it has none, the last one stands.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame
from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.odometry.observations import Rig

Array = NDArray[np.float64]

_FEATURES = {True: 2000, False: 1000}  # of stereo (its settings for KITTI) and of depth (for TUM)
_NEAR = {True: 35.0, False: 40.0}  # baselines, up to which a depth counts
_PROJECTOR = 0.08  # m; the baseline its settings for TUM give a structured-light sensor
_USUAL_RATE = 30.0


class OrbSlam:
    """Feeds frames at their rate; see the module."""

    def __init__(self, first: Frame, rig: Rig | None) -> None:
        """`rig`: of a stereo sequence, rectified; None: `first` has a depth image."""
        from pyorbslam3 import Sensor, Slam, vocabulary_path

        if rig is not None and rotation_angle_deg(rig.rotation) > 0.05:
            raise SystemExit("orb-slam3: the images are not rectified")
        with tempfile.TemporaryDirectory() as folder:
            settings = Path(folder) / "settings.yaml"
            settings.write_text(_settings(first, rig))
            sensor = Sensor.RGBD if rig is None else Sensor.STEREO
            self._slam = Slam(vocabulary_path(download=False), settings, sensor)
        self._stereo = rig is not None
        self._slower = float(os.environ.get("ORB_SLAM_SLOWER", "1"))
        self._before: tuple[float, float] | None = None
        self._pose = np.eye(4)

    def __call__(self, frame: Frame) -> Array:
        if self._before is not None:
            stamp, clock = self._before
            wait = clock + self._slower * (frame.stamp - stamp) - time.monotonic()
            time.sleep(max(wait, 0.0))
        self._before = frame.stamp, time.monotonic()
        if self._stereo:
            images = frame.images[LEFT], frame.images[RIGHT]
            found = self._slam.track_stereo(*images, frame.stamp)
        else:
            depth = np.nan_to_num(frame.depth, nan=0.0)
            found = self._slam.track_rgbd(frame.images[LEFT], depth, frame.stamp)
        if found.pose_valid:
            self._pose = np.asarray(found.pose_wc, np.float64)
        return self._pose

    def close(self) -> None:
        """End its threads."""
        self._slam.shutdown()


def _settings(first: Frame, rig: Rig | None) -> str:
    camera = first.cameras[LEFT]
    stereo = rig is not None
    values: dict[str, object] = {
        "Camera.type": '"PinHole"',
        "Camera.fx": float(camera.k[0, 0]),
        "Camera.fy": float(camera.k[1, 1]),
        "Camera.cx": float(camera.k[0, 2]),
        "Camera.cy": float(camera.k[1, 2]),
        **{f"Camera.{name}": 0.0 for name in ("k1", "k2", "p1", "p2")},
        "Camera.width": camera.width,
        "Camera.height": camera.height,
        "Camera.fps": _USUAL_RATE,
        "Camera.RGB": 0,
        "Camera.bf": float(camera.k[0, 0]) * (rig.baseline if rig else _PROJECTOR),
        "ThDepth": _NEAR[stereo],
        "DepthMapFactor": 1.0,
        "ORBextractor.nFeatures": _FEATURES[stereo],
        "ORBextractor.scaleFactor": 1.2,
        "ORBextractor.nLevels": 8,
        "ORBextractor.iniThFAST": 20,
        "ORBextractor.minThFAST": 7,
        "Viewer.KeyFrameSize": 0.05,
        "Viewer.KeyFrameLineWidth": 1.0,
        "Viewer.GraphLineWidth": 0.9,
        "Viewer.PointSize": 2.0,
        "Viewer.CameraSize": 0.08,
        "Viewer.CameraLineWidth": 3.0,
        "Viewer.ViewpointX": 0.0,
        "Viewer.ViewpointY": -0.7,
        "Viewer.ViewpointZ": -1.8,
        "Viewer.ViewpointF": 500.0,
    }
    return "\n".join(["%YAML:1.0", *(f"{name}: {value}" for name, value in values.items())]) + "\n"
