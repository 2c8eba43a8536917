"""What a frame costs by each front end, stage by stage, and what it is worth: drift and tracks.

    OMP_NUM_THREADS=1 python benchmarks/price_of_motion.py SCENE... [--mode stereo|rgbd|temporal]
        [-f sift -f tracks -f opencv] [--frames 51] [--starts 0,2,4] [--set rig_sigma_deg=0]
        [--width 1241] [--camera fx,fy,cx,cy] [--depth-scale UNITS]

CPU time of the process, not the wall's, so that other work on the machine counts for nothing; one
thread. The first front end is the one that the others are compared with. `-f` takes other
odometries, too: those of `peers_of_motion.py`. Mode `temporal` relates each left image to the one
before, without odometry. Begun at several frames (`--starts`), drift and rotation are means with
their standard deviation over the runs. `--width` enlarges or reduces the images to that width: for
the time of another size of image, not for its accuracy. Images are undistorted before the clock
starts.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from frame_images import resized, undistorted
from numpy.typing import NDArray
from orb_slam import OrbSlam
from peers_of_motion import PEERS, rig_of

from msga_ros.cli.cameras import calibrated_camera
from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame
from msga_ros.datasets.sequences.source import open_sequence
from msga_ros.evaluation.odometry.trajectory_error import TrajectoryErrors, evaluate_trajectory
from msga_ros.frontend.base import Features
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.poses import pose_matrix
from msga_ros.odometry.rgbd import RgbdOdometry
from msga_ros.odometry.stereo import StereoOdometry
from msga_ros.two_view.pipeline import TwoViewPipeline

Poses = list[NDArray[np.float64]]


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
        self._all: list[int] = []

    def take(self, ids: NDArray[np.generic]) -> None:
        """The ids of a frame, 0 for none."""
        for one in np.unique(ids[ids > 0]).tolist():
            self._seen[one] = self._seen.get(one, 0) + 1

    def end(self) -> None:
        """The run is over: ids that come now are others."""
        self._all += [count for count in self._seen.values() if count > 1]
        self._seen.clear()

    def text(self) -> str:
        """Median length, and the share that reaches three observations."""
        if not self._all:
            return "-"
        lengths = np.array(self._all)
        return f"{np.median(lengths):.0f}, {(lengths >= 3).mean():.0%}"


def main() -> None:
    """Print a table for each scene."""
    options = _options()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    config = OdometryConfig(
        **{k: json.loads(v) for k, v in (one.split("=") for one in options.odometry)}
    )
    for scene in options.scenes:
        sequence = open_sequence(
            str(scene),
            options.mode == "stereo",
            frames=options.frames,
            camera=calibrated_camera(options.camera) if options.camera else None,
            depth=options.mode == "rgbd",
            depth_scale=options.depth_scale,
        )
        frames = [undistorted(frame) for frame in islice(sequence, options.frames)]
        if options.width:
            frames = [resized(frame, options.width) for frame in frames]
        height, width = frames[0].images[LEFT].shape[:2]
        print(f"{scene.name}, {len(frames)} frames of {width}x{height}")
        reference = None
        for name in options.frontends or ["sift", "tracks", "opencv"]:
            price, lengths, errors = Price(), Lengths(), []
            for start in options.starts:
                poses = _run(name, frames[start:], options.mode, price, lengths, config)
                lengths.end()
                errors += _errors(frames[start:], poses)
            count = sum(len(frames) - start for start in options.starts)
            reference = _print(name, count, errors, price, lengths, reference)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--mode", choices=("stereo", "rgbd", "temporal"), default="stereo")
    parser.add_argument("-f", "--frontend", action="append", dest="frontends")
    parser.add_argument("--frames", type=int, default=51)
    parser.add_argument("--starts", type=lambda text: [int(one) for one in text.split(",")])
    parser.add_argument("--width", type=int, default=0, help="resize to; 0: as they are")
    parser.add_argument("--camera", help="of a folder of TUM RGB-D")
    parser.add_argument("--depth-scale", type=float, default=0.0, help="of a folder of TUM RGB-D")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=NUMBER", dest="odometry"
    )
    options = parser.parse_args()
    options.starts = options.starts or [0]
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1")
    return options


def _errors(frames: list[Frame], poses: Poses) -> list[TrajectoryErrors]:
    """Of one run; none where there is no trajectory, or no truth."""
    truth = [frame.poses[LEFT] for frame in frames if frame.poses]
    if not poses or not truth:
        return []
    true = np.array([pose_matrix(one.rotation.T, one.centre) for one in truth])
    found = np.array([pose for pose, frame in zip(poses, frames, strict=True) if frame.poses])
    return [evaluate_trajectory(true, found, with_scale=False)]


def _print(
    name: str,
    count: int,
    errors: list[TrajectoryErrors],
    price: Price,
    lengths: Lengths,
    reference: float | None,
) -> float:
    each = {stage: 1e3 * seconds / count for stage, seconds in price.seconds.items()}
    total = sum(each.values())
    stages = ", ".join(f"{stage} {value:.1f}" for stage, value in each.items())
    drift = ""
    if errors:
        both = np.array([[one.rpe_trans_percent, one.rpe_rot_deg] for one in errors])
        middle, spread = both.mean(0), both.std(0)
        drift = f" drift {middle[0]:.2f} % {middle[1]:.2f} deg;"
        if len(errors) > 1:
            drift = (
                f" drift {middle[0]:.2f} +- {spread[0]:.2f} %"
                f" {middle[1]:.3f} +- {spread[1]:.3f} deg;"
            )
    share = "" if reference is None else f" ({total / reference:.2f} of the first)"
    line = f"  {name:8} {total:6.1f} ms{share};{drift} tracks {lengths.text()}; {stages}"
    print(line, flush=True)
    return total if reference is None else reference


def _run(
    name: str,
    frames: list[Frame],
    mode: str,
    price: Price,
    lengths: Lengths,
    config: OdometryConfig,
) -> Poses:
    """Every pose; none in mode `temporal`."""
    if name in PEERS:
        step, poses = PEERS[name](frames[0]), []
        for frame in frames:
            with price.of("odometry"):
                poses.append(step(frame).copy())
        if isinstance(step, OrbSlam):
            step.close()
        return poses
    pipeline = TwoViewPipeline.from_config(**{"frontend.name": name, "network.device": "cpu"})
    pipeline.warm_up()
    if mode == "temporal":
        return _temporal(pipeline, frames, price, lengths)
    if mode == "rgbd":
        return _depth(pipeline, frames, price, lengths, config)
    return _stereo(pipeline, frames, price, lengths, config)


def _stereo(
    pipeline: TwoViewPipeline,
    frames: list[Frame],
    price: Price,
    lengths: Lengths,
    config: OdometryConfig,
) -> Poses:
    """Every pose of the stereo odometry, with the pair's own pose solved as in the node."""
    odometry = StereoOdometry(rig_of(frames[0]), pipeline.relate, config)
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


def _depth(
    pipeline: TwoViewPipeline,
    frames: list[Frame],
    price: Price,
    lengths: Lengths,
    config: OdometryConfig,
) -> Poses:
    """Every pose of the odometry with depth."""
    odometry = RgbdOdometry(pipeline.relate, config)
    seen: Features | None = None
    poses = []
    for frame in frames:
        with price.of("features"):
            seen = pipeline.follow(seen, frame.images[LEFT])
        with price.of("odometry"):
            update = odometry.update(frame.stamp, seen, frame.cameras[LEFT], frame.depth)
        assert update.pose is not None
        lengths.take(update.track_ids[update.inlier])
        poses.append(update.pose.matrix)
    return poses


def _temporal(
    pipeline: TwoViewPipeline, frames: list[Frame], price: Price, lengths: Lengths
) -> Poses:
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


if __name__ == "__main__":
    main()
