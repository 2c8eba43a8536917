"""Does the covariance of the stereo odometry cover its errors on recorded sequences?

    python benchmarks/odometry_consistency.py SCENE... [--share 0.005] [--frames 25]

Starts the odometry anew at every tenth frame and compares the pose after so many frames with the
truth: the normalised estimation error squared (NEES) is 6 on average for an honest covariance, and
above 16.8 in one case of a hundred. The truth counts as exact, which GPS and inertial unit are not.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame
from msga_ros.datasets.sequences.source import open_sequence
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.poses import pose_error
from msga_ros.odometry.stereo import StereoOdometry
from msga_ros.two_view.pipeline import TwoViewPipeline


def main() -> None:
    """Print a table for each scene."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--share", type=float, nargs="+", default=[0.0, 0.005])
    parser.add_argument("--frames", type=int, default=25)
    options = parser.parse_args()
    pipeline = TwoViewPipeline.from_config()
    for scene in options.scenes:
        frames = list(open_sequence(str(scene), True))
        seen = [
            [pipeline.extract(frame.images[side]) for side in (LEFT, RIGHT)] for frame in frames
        ]
        relate = _Remembering(pipeline)
        print(f"{scene.name}\n  share   from  to      m    NEES  error / standard deviation")
        for share in options.share:
            config = OdometryConfig(systematic_share=share)
            for first in range(0, len(frames) - options.frames // 2, 10):
                last = min(first + options.frames, len(frames) - 1)
                _print(share, frames, seen, (first, last), relate, config)


class _Remembering:
    """The pipeline's `relate`, asked once for each pair."""

    def __init__(self, pipeline: TwoViewPipeline) -> None:
        self._pipeline = pipeline
        self._known: dict[tuple[int, int], Any] = {}

    def __call__(self, features0: Any, features1: Any, *cameras: Any) -> Any:
        key = (id(features0), id(features1))  # all features live to the end
        if key not in self._known:
            self._known[key] = self._pipeline.relate(features0, features1, *cameras)
        return self._known[key]


def _print(
    share: float,
    frames: list[Frame],
    seen: list[list[Any]],
    ends: tuple[int, int],
    relate: _Remembering,
    config: OdometryConfig,
) -> None:
    first, last = ends
    odometry = StereoOdometry(_rig(frames[first]), relate, config)
    for frame, (left, right) in zip(frames[first : last + 1], seen[first : last + 1], strict=True):
        cameras = frame.cameras[LEFT], frame.cameras[RIGHT]
        matches = relate(left, right, *cameras)
        update = odometry.update(frame.stamp, left, right, *cameras, matches)
    poses = [_pose(frame) for frame in frames[first : last + 1]]
    truth = np.linalg.inv(poses[0]) @ poses[-1]
    assert update.pose is not None
    error = pose_error(update.pose, truth[:3, :3], truth[:3, 3])
    nees = float(error @ np.linalg.solve(update.pose.covariance, error))
    metres = sum(float(np.linalg.norm(b[:3, 3] - a[:3, 3])) for a, b in pairwise(poses))
    ratio = " ".join(f"{one:6.1f}" for one in error / np.sqrt(np.diag(update.pose.covariance)))
    print(f"  {share:.4f} {first:5d} {last:3d} {metres:6.1f} {nees:7.1f}  {ratio}", flush=True)


def _pose(frame: Frame) -> np.ndarray:
    assert frame.poses is not None
    left, matrix = frame.poses[LEFT], np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = left.rotation.T, left.centre
    return matrix


def _rig(frame: Frame) -> Rig:
    assert frame.poses is not None
    right = frame.poses[RIGHT].relative_to(frame.poses[LEFT])
    return Rig(right.rotation, right.translation)


if __name__ == "__main__":
    main()
