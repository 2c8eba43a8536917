"""Odometry begun at several frames, with several seeds: one run of a short sequence says little.

    OMP_NUM_THREADS=1 python benchmarks/odometry_starts.py SCENE... [--mode mono|stereo]
        [-f sift|tracks|...] [--starts 0,3,6,9] [--seeds 0,1] [--dropped 0.1] [--backwards]
        [-e msga -e msga+poselib -e ratio+magsac -e ratio+poselib] [--json FILE]

Errors as `msga vo` has them, mean and standard deviation over the runs; the scale's drift without
its sign. `--seeds` are those of all random samples, and of the frames that are left out: a share
`--dropped`, the same for all estimators. Runs that begin a few frames apart soon have the same
keyframes; with other frames left out they have not. `--backwards` plays each run in both directions
(the frames up to the start left out).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import torch

from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame
from msga_ros.datasets.sequences.source import open_sequence
from msga_ros.evaluation.odometry.estimators import (
    DEFAULT_ESTIMATORS,
    EstimatorRelate,
    PutativeMatcher,
    SharedScores,
)
from msga_ros.evaluation.odometry.trajectory_error import TrajectoryErrors, evaluate_trajectory
from msga_ros.frontend.base import Features
from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.mono import MonoOdometry
from msga_ros.odometry.observations import Rig
from msga_ros.odometry.poses import pose_matrix
from msga_ros.odometry.stereo import StereoOdometry
from msga_ros.odometry.updates import OdometryStatus
from msga_ros.two_view.chosen_stages import create_frontend, create_sieve
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.stages import Frontend, TrackingFrontend, beside, follow

_PAIRS = 8192  # as many are kept, so that no pair is matched twice
_ERRORS = ("rpe_trans_percent", "rpe_rot_deg", "scale_drift_percent")

Views = dict[str, Features]


def main() -> None:
    """Print a line for each scene and estimator."""
    options = _options()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    given: dict[str, object] = {"network.device": "cpu", "frontend.name": options.frontend}
    if options.weights:
        given["network.weights"] = options.weights
    config = PipelineConfig.load(**given)
    frontend = create_frontend(config.frontend)
    records = []
    for scene in options.scenes:
        frames = list(open_sequence(str(scene), stereo=options.mode == "stereo"))
        ways = _ways(len(frames), options)
        matcher = PutativeMatcher(frontend, _PAIRS)
        scores = SharedScores(create_sieve(config, "msga"), _PAIRS)
        if isinstance(frontend, TrackingFrontend):
            seen = [_views(frontend, [frames[at] for at in way]) for way, _ in ways]
        else:  # a frame's features are always the same
            views = _views(frontend, frames)
            seen = [[views[at] for at in way] for way, _ in ways]
        print(f"{scene.name}, {len(frames)} frames, {len(ways)} runs")
        for name in options.estimators or DEFAULT_ESTIMATORS:
            found = []
            for (way, seed), views in zip(ways, seen, strict=True):
                seeded = PipelineConfig.load(**given, **{"pose.seed": seed})
                relate = EstimatorRelate(
                    name, seeded, matcher, scores if name.startswith("msga") else None
                )
                errors = _errors(relate, [frames[at] for at in way], views, seed)
                found.append(errors)
                run = {"scene": scene.name, "estimator": name, "seed": seed}
                run |= {"first": way[0], "last": way[-1]}
                records.append(run | dataclasses.asdict(errors))
            _print(name, found)
    if options.json:
        options.json.write_text(json.dumps(records, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--mode", choices=("mono", "stereo"), default="mono")
    parser.add_argument("-f", "--frontend", default="sift")
    parser.add_argument("-e", "--estimator", action="append", dest="estimators")
    parser.add_argument("-w", "--weights", help="set in the package or checkpoint")
    parser.add_argument("--starts", type=_numbers, default=(0, 3, 6, 9))
    parser.add_argument("--seeds", type=_numbers, default=(0,))
    parser.add_argument("--dropped", type=float, default=0.0, help="share of frames left out")
    parser.add_argument("--backwards", action="store_true", help="and in the other direction")
    parser.add_argument("--json", type=Path, help="file for the errors of each run")
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _ways(count: int, options: argparse.Namespace) -> list[tuple[list[int], int]]:
    """The frames of each run, in the order they are played, with the seed."""
    ways = []
    for start, seed in product(options.starts, options.seeds):
        kept = np.random.default_rng(seed).random(count) >= options.dropped
        forward = [at for at in range(start, count) if kept[at]]
        ways += [(way, seed) for way in (forward, forward[::-1])][: 1 + options.backwards]
    return ways


def _views(frontend: Frontend, frames: list[Frame]) -> list[Views]:
    """Features of each frame by side."""
    seen: list[Views] = []
    for frame in frames:
        before = seen[-1].get(LEFT) if seen else None
        views = {LEFT: follow(frontend, before, frame.images[LEFT])}
        if RIGHT in frame.images:
            views[RIGHT] = beside(frontend, views[LEFT], frame.images[RIGHT])
        seen.append(views)
    return seen


def _errors(
    relate: EstimatorRelate, frames: list[Frame], seen: list[Views], seed: int
) -> TrajectoryErrors:
    settings = OdometryConfig(seed=seed)
    stereo = RIGHT in frames[0].images
    mono = MonoOdometry(relate, settings)
    metric = StereoOdometry(_rig(frames[0]), relate, settings) if stereo else None
    stamps = sorted(frame.stamp for frame in frames)  # they grow, in whichever direction
    true, found = [], []
    for stamp, frame, views in zip(stamps, frames, seen, strict=True):
        if metric is not None:
            both = views[LEFT], views[RIGHT], frame.cameras[LEFT], frame.cameras[RIGHT]
            update = metric.update(stamp, *both, relate.stereo(*both))
        else:
            update = mono.update(stamp, views[LEFT], frame.cameras[LEFT])
        if update.status is OdometryStatus.STARTED and update.pose is not None:
            true, found = [], []  # mono begins anew: what was before has no common frame
        if update.pose is not None and frame.poses:
            truth = frame.poses[LEFT]
            true.append(pose_matrix(truth.rotation.T, truth.centre))
            found.append(update.pose.matrix)
    return evaluate_trajectory(np.array(true), np.array(found), with_scale=not stereo)


def _rig(frame: Frame) -> Rig:
    assert frame.poses is not None
    right = frame.poses[RIGHT].relative_to(frame.poses[LEFT])
    return Rig(right.rotation, right.translation)


def _print(name: str, errors: list[TrajectoryErrors]) -> None:
    columns = np.array([[getattr(one, field) for field in _ERRORS] for one in errors])
    columns[:, 2] = np.abs(columns[:, 2])
    middle, spread = columns.mean(0), columns.std(0)
    print(
        f"  {name:14} trans {middle[0]:.2f} +- {spread[0]:.2f} %"
        f" rot {middle[1]:.2f} +- {spread[1]:.2f} deg"
        f" scale drift {middle[2]:.1f} +- {spread[2]:.1f} %",
        flush=True,
    )


if __name__ == "__main__":
    main()
