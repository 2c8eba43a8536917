"""Mono odometry begun at several frames: a single run of a short sequence says little of its scale.

    OMP_NUM_THREADS=1 python benchmarks/mono_starts.py SCENE... [--starts 0,3,6,9]
        [-e msga -e msga+poselib -e ratio+magsac -e ratio+poselib]

Mean errors over the starts, as `msga vo` has them, with the range of the scale's drift.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from msga_ros.datasets.sequences.base import LEFT, Frame
from msga_ros.datasets.sequences.source import open_sequence
from msga_ros.evaluation.odometry.estimators import (
    DEFAULT_ESTIMATORS,
    EstimatorRelate,
    PutativeMatcher,
    SharedScores,
)
from msga_ros.evaluation.odometry.trajectory_error import TrajectoryErrors, evaluate_trajectory
from msga_ros.frontend.base import Features
from msga_ros.odometry.mono import MonoOdometry
from msga_ros.odometry.poses import pose_matrix
from msga_ros.two_view.pipeline import TwoViewPipeline
from msga_ros.two_view.stages import create_frontend, create_sieve

_PAIRS = 4096  # as many are kept, so that no pair is matched twice


def main() -> None:
    """Print a line for each scene and estimator."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("-e", "--estimator", action="append", dest="estimators")
    parser.add_argument("--starts", default="0,3,6,9")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    config = TwoViewPipeline.from_config(**{"network.device": "cpu"}).config
    frontend = create_frontend(config.frontend)
    for scene in options.scenes:
        frames = list(open_sequence(str(scene), stereo=False))
        features = [frontend.extract(frame.images[LEFT]) for frame in frames]
        matcher = PutativeMatcher(frontend, _PAIRS)
        scores = SharedScores(create_sieve(config, "msga"), _PAIRS)
        print(f"{scene.name}, {len(frames)} frames")
        for name in options.estimators or DEFAULT_ESTIMATORS:
            shared = scores if name.startswith("msga") else None
            relate = EstimatorRelate(name, config, matcher, shared)
            starts = [int(start) for start in options.starts.split(",")]
            _print(name, [_errors(relate, frames[at:], features[at:]) for at in starts])


def _errors(
    relate: EstimatorRelate, frames: list[Frame], features: list[Features]
) -> TrajectoryErrors:
    odometry = MonoOdometry(relate)
    true, found = [], []
    for frame, seen in zip(frames, features, strict=True):
        update = odometry.update(frame.stamp, seen, frame.cameras[LEFT])
        if update.pose is not None and frame.poses:
            truth = frame.poses[LEFT]
            true.append(pose_matrix(truth.rotation.T, truth.centre))
            found.append(update.pose.matrix)
    return evaluate_trajectory(np.array(true), np.array(found), with_scale=True)


def _print(name: str, errors: list[TrajectoryErrors]) -> None:
    drifts = [abs(one.scale_drift_percent) for one in errors]
    print(
        f"  {name:14} trans {np.mean([one.rpe_trans_percent for one in errors]):.2f} %"
        f" rot {np.mean([one.rpe_rot_deg for one in errors]):.2f} deg"
        f" scale drift {np.mean(drifts):.1f} % ({min(drifts):.1f} to {max(drifts):.1f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
