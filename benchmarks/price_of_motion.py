"""What a frame costs by each front end, stage by stage, and what it is worth: drift and tracks.

    OMP_NUM_THREADS=1 python benchmarks/price_of_motion.py SCENE... [--frames 51] [--temporal]
        [-f sift -f tracks -f opencv] [--set rig_sigma_deg=0] [--width 1241]

CPU time of the process, not the wall's, so that other work on the machine counts for nothing; one
thread. The first front end is the one that the others are compared with. `opencv` is what OpenCV
alone gives to a stereo odometry, for comparison: corners, Lucas-Kanade, and PnP with RANSAC on
points triangulated by the rig, the keyframe being the frame before. Mode `--temporal` relates each
left image to the one before, without odometry. `--width` enlarges or reduces the images to that
width: for the time of another size of image, not for its accuracy.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame
from msga_ros.datasets.sequences.source import open_sequence
from msga_ros.evaluation.odometry.trajectory_error import evaluate_trajectory
from msga_ros.frontend.base import Features
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.poses import pose_matrix
from msga_ros.odometry.stereo import StereoOdometry
from msga_ros.two_view.pipeline import TwoViewPipeline

OPENCV = "opencv"


class Price:
    """Seconds of CPU by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Add what is done in here to `stage`."""
        started = time.process_time()
        yield
        passed = time.process_time() - started
        self.seconds[stage] = self.seconds.get(stage, 0.0) + passed


class Lengths:
    """In how many frames each id was seen; those seen once are not published as matches."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def take(self, ids: NDArray[np.generic]) -> None:
        """The ids of a frame, 0 for none."""
        for one in np.unique(ids[ids > 0]).tolist():
            self._seen[one] = self._seen.get(one, 0) + 1

    def text(self) -> str:
        """Median length, and the share that reaches three observations."""
        lengths = np.array([count for count in self._seen.values() if count > 1])
        if len(lengths) == 0:
            return "-"
        return f"{np.median(lengths):.0f}, {(lengths >= 3).mean():.0%}"


def main() -> None:
    """Print a table for each scene."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("-f", "--frontend", action="append", dest="frontends")
    parser.add_argument("--frames", type=int, default=51)
    parser.add_argument("--width", type=int, default=0, help="resize to; 0: as they are")
    parser.add_argument("--temporal", action="store_true")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=NUMBER", dest="odometry"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1")
    config = OdometryConfig(
        **{k: float(v) for k, v in (one.split("=") for one in options.odometry)}
    )
    for scene in options.scenes:
        sequence = open_sequence(str(scene), not options.temporal, frames=options.frames)
        frames = [frame for frame, _ in zip(sequence, range(options.frames), strict=False)]
        if options.width:
            frames = [_resized(frame, options.width) for frame in frames]
        height, width = frames[0].images[LEFT].shape[:2]
        print(f"{scene.name}, {len(frames)} frames of {width}x{height}")
        reference = None
        for name in options.frontends or ["sift", "tracks", OPENCV]:
            price, lengths = Price(), Lengths()
            if name == OPENCV:
                poses = _classical(frames, price)
            elif options.temporal:
                poses = _temporal(name, frames, price, lengths)
            else:
                poses = _stereo(name, frames, price, lengths, config)
            reference = _print(name, frames, poses, price, lengths, reference)


def _resized(frame: Frame, width: int) -> Frame:
    scale = width / frame.images[LEFT].shape[1]
    size = (width, round(scale * frame.images[LEFT].shape[0]))
    images = {
        side: np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        for side, image in frame.images.items()
    }
    cameras = {side: camera.scaled(scale) for side, camera in frame.cameras.items()}
    return replace(frame, images=images, cameras=cameras)


def _print(
    name: str,
    frames: list[Frame],
    poses: list[NDArray[np.float64]],
    price: Price,
    lengths: Lengths,
    reference: float | None,
) -> float:
    each = {stage: 1e3 * seconds / len(frames) for stage, seconds in price.seconds.items()}
    total = sum(each.values())
    stages = ", ".join(f"{stage} {value:.1f}" for stage, value in each.items())
    drift = ""
    if poses and all(frame.poses for frame in frames):
        truth = [frame.poses[LEFT] for frame in frames if frame.poses]
        true = np.array([pose_matrix(one.rotation.T, one.centre) for one in truth])
        errors = evaluate_trajectory(true, np.array(poses), False)
        drift = f" drift {errors.rpe_trans_percent:.2f} % {errors.rpe_rot_deg:.2f} deg;"
    share = "" if reference is None else f" ({total / reference:.2f} of the first)"
    print(f"  {name:8} {total:6.1f} ms{share};{drift} tracks {lengths.text()}; {stages}")
    return total if reference is None else reference


def _pipeline(name: str) -> TwoViewPipeline:
    pipeline = TwoViewPipeline.from_config(**{"frontend.name": name, "network.device": "cpu"})
    pipeline.warm_up()
    return pipeline


def _stereo(
    name: str, frames: list[Frame], price: Price, lengths: Lengths, config: OdometryConfig
) -> list[NDArray[np.float64]]:
    """Every pose of the stereo odometry, with the pair's own pose solved as in the node."""
    pipeline = _pipeline(name)
    odometry = StereoOdometry(_rig(frames[0]), pipeline.relate, config)
    left: Features | None = None
    poses = []
    for frame in frames:
        cameras = frame.cameras[LEFT], frame.cameras[RIGHT]
        with price.of("left"):
            left = pipeline.follow(left, frame.images[LEFT])
        with price.of("right"):
            right = pipeline.beside(left, frame.images[RIGHT])
        with price.of("pair"):
            pair = pipeline.relate(left, right, *cameras)
        with price.of("odometry"):
            update = odometry.update(frame.stamp, left, right, *cameras, pair)
        assert update.pose is not None and pair.indices0 is not None
        lengths.take(update.feature_ids[pair.indices0])
        poses.append(update.pose.matrix)
    return poses


def _temporal(
    name: str, frames: list[Frame], price: Price, lengths: Lengths
) -> list[NDArray[np.float64]]:
    pipeline = _pipeline(name)
    left: Features | None = None
    for frame in frames:
        before, camera = left, frame.cameras[LEFT]
        with price.of("left"):
            left = pipeline.follow(before, frame.images[LEFT])
        if before is not None:
            with price.of("pair"):
                pair = pipeline.relate(before, left, camera, camera)
            if left.ids is not None and pair.indices1 is not None:
                lengths.take(np.where(pair.inlier, left.ids[pair.indices1], 0))
    return []


def _classical(frames: list[Frame], price: Price) -> list[NDArray[np.float64]]:
    """Corners, Lucas-Kanade and PnP with RANSAC, all of OpenCV, from each frame to the next."""
    pose, poses, before = np.eye(4), [], None
    for frame in frames:
        if RIGHT not in frame.images:
            return []
        left, right = (_grey(frame.images[side]) for side in (LEFT, RIGHT))
        camera, rig = frame.cameras[LEFT].k, _rig(frame)
        with price.of("odometry"):
            if before is not None:
                image, corners, points = before
                seen, found, _ = cv2.calcOpticalFlowPyrLK(image, left, corners, None)
                good = found[:, 0] == 1
                known, turn, shift, _ = cv2.solvePnPRansac(
                    points[good], seen[good], camera, None, reprojectionError=1.0
                )
                if known:
                    step = pose_matrix(cv2.Rodrigues(turn)[0], shift[:, 0])
                    pose = pose @ np.linalg.inv(step)
            before = (left, *_triangulated(left, right, frame, rig))
        poses.append(pose)
    return poses


def _triangulated(
    left: NDArray[np.uint8], right: NDArray[np.uint8], frame: Frame, rig: Rig
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Corners (N, 1, 2) of the left image and their points (N, 3) in the left camera."""
    corners = cv2.goodFeaturesToTrack(left, 300, 0.003, 8)
    seen, found, _ = cv2.calcOpticalFlowPyrLK(left, right, corners, None)
    first = frame.cameras[LEFT].k @ np.eye(3, 4)
    second = frame.cameras[RIGHT].k @ np.hstack([rig.rotation, rig.translation[:, None]])
    lifted = cv2.triangulatePoints(first, second, corners[:, 0].T, seen[:, 0].T)
    with np.errstate(all="ignore"):
        points = (lifted[:3] / lifted[3]).T
    level = np.abs(seen - corners)[:, 0, 1] < 2.0
    good = (found[:, 0] == 1) & level & (points[:, 2] > 0.5) & (points[:, 2] < 100.0)
    return corners[good], points[good].astype(np.float64)


def _rig(frame: Frame) -> Rig:
    assert frame.poses is not None
    right = frame.poses[RIGHT].relative_to(frame.poses[LEFT])
    return Rig(right.rotation, right.translation)


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image


if __name__ == "__main__":
    main()
