r"""What loops do to a trajectory with disturbed odometry, on sequences that come back.

    python benchmarks/loop_closure.py ../shared/data/scenes --seeds 3

`sfm_redkitchen_video` as it was taken (its unit of length is not known, so call it a unit), and a
KITTI sequence there with the left camera of the rig and back with the right one. The odometry is
the truth with each step too long, turned too far, and with noise that grows with the square root of
the distance. A loop is wrong when it is turned by more than 5 degrees from the truth or, where it
has a length, off by more than a fifth of its own and 0.2.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame
from msga_ros.datasets.sequences.folder import FolderSequence
from msga_ros.evaluation.odometry.trajectory_error import absolute_errors, align
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.places import packaged_places
from msga_ros.loops.reports import LoopEdge, View
from msga_ros.loops.store import KeyframeStore
from msga_ros.odometry.poses import pose_matrix
from msga_ros.two_view.pipeline import TwoViewPipeline

PAUSE = 10.0  # s, between the way there and the way back
SLOWER = 3.0  # times, on the way back: the other direction begins at walking pace


@dataclass(frozen=True)
class Disturbance:
    """`scale`: of each step; `yaw_deg` a metre, always the same; `noise_deg`, `noise_m`: standard
    deviations after a metre."""

    scale: float = 1.03
    yaw_deg: float = 1.0
    noise_deg: float = 0.5
    noise_m: float = 0.03


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--every", type=int, default=2, help="every n-th frame")
    parser.add_argument("--keypoints", type=int, default=1000)
    parser.add_argument("--frontend", default="sift")
    parser.add_argument("--weights", default="msga_net_lite")
    parser.add_argument("--kitti", default="kitti_stereo_seq1")
    given = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = TwoViewPipeline.from_config(
        **{
            "network.weights": given.weights,
            "frontend.name": given.frontend,
            "frontend.max_keypoints": given.keypoints,
        }
    )
    sequences = {
        "sfm_redkitchen_video": as_taken(given.scenes / "sfm_redkitchen_video", given.every),
        f"{given.kitti}, there and back": and_back(given.scenes / given.kitti, given.every),
    }
    print("| sequence | seed | keyframes | loops | wrong | taken back | before | after | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, views in sequences.items():
        for seed in range(given.seeds):
            print(f"| {name} | {seed} | {judged(pipeline, views, seed)} |", flush=True)


def as_taken(folder: Path, every: int) -> list[tuple[View, Pose]]:
    """Views and their true poses."""
    frames = list(FolderSequence(folder, stereo=False))[::every]
    return [_view(frame, frame.stamp, LEFT) for frame in frames]


def and_back(folder: Path, every: int) -> list[tuple[View, Pose]]:
    """There with the left camera, back with the right one, the images in reverse order."""
    frames = list(FolderSequence(folder, stereo=True))[::every]
    there = [_view(frame, frame.stamp, LEFT) for frame in frames]
    last = frames[-1].stamp
    return there + [
        _view(frame, last + PAUSE + SLOWER * (last - frame.stamp), RIGHT)
        for frame in reversed(frames)
    ]


def judged(pipeline: TwoViewPipeline, views: list[tuple[View, Pose]], seed: int) -> str:
    """Columns of the table."""
    odometry = disturbed([pose for _, pose in views], Disturbance(), np.random.default_rng(seed))
    kept: list[int] = []
    accepted: list[LoopEdge] = []
    taken_back = 0
    config = LoopConfig(optimise=True, min_gap=5.0, keyframe_distance=0.2)
    with (
        tempfile.TemporaryDirectory() as folder,
        KeyframeStore(Path(folder) / "map") as store,
    ):
        places = packaged_places(pipeline.config.frontend)
        mapper = LoopMapper(store, pipeline, places, config)
        for number, ((view, _), pose) in enumerate(zip(views, odometry, strict=True)):
            outcome = mapper.add(View(str(number), view.stamp, view.image, view.camera, pose))
            kept += [] if outcome.keyframe is None else [number]
            accepted += outcome.accepted
            taken_back += len(outcome.taken_back)
            for note in outcome.notes:
                print(f"<!-- view {number}: {note} -->")
        path, edges = mapper.path(), mapper.edges
    truth = [views[number][1] for number in kept]
    placed = [number for number, one in enumerate(path) if one.pose is not None]
    before = off([truth[one] for one in placed], [odometry[kept[one]] for one in placed])
    found = [path[one].pose for one in placed]
    after = off([truth[one] for one in placed], [pose for pose in found if pose is not None])
    wrong = sum(is_wrong(edge, truth) for edge in edges)
    ever = sum(is_wrong(edge, truth) for edge in accepted)
    return (
        f"{len(placed)} of {len(kept)} | {len(edges)} | {wrong} (ever {ever}) | {taken_back} | "
        f"{before:.3f} | {after:.3f} | {after / before:.2f}"
    )


def disturbed(truth: list[Pose], by: Disturbance, rng: np.random.Generator) -> list[Pose]:
    """Odometry that begins with the truth."""
    found = [truth[0]]
    for before, after in itertools.pairwise(truth):
        step = after.relative_to(before)
        length = float(np.linalg.norm(step.translation))
        root = np.sqrt(length)
        turn = rotation_matrix(np.deg2rad(by.noise_deg) * root * rng.normal(size=3))
        bend = rotation_matrix([0.0, np.deg2rad(by.yaw_deg) * length, 0.0])
        shift = by.scale * step.translation + by.noise_m * root * rng.normal(size=3)
        found.append(Pose(turn @ bend @ step.rotation, shift).after(found[-1]))
    return found


def off(truth: list[Pose], found: list[Pose]) -> float:
    """Root mean square distance of the cameras after a rigid alignment (ATE)."""
    matrices = [
        np.array([pose_matrix(one.rotation.T, one.centre) for one in poses])
        for poses in (truth, found)
    ]
    places = [one[:, :3, 3] for one in matrices]
    aligned = align(*places, with_scale=False).apply(matrices[1])
    return float(np.sqrt((absolute_errors(matrices[0], aligned) ** 2).mean()))


def is_wrong(edge: LoopEdge, truth: list[Pose]) -> bool:
    """Whether a loop says what is not so."""
    motion = truth[edge.current].relative_to(truth[edge.reference]).inverse()
    if rotation_angle_deg(motion.rotation @ edge.pose.rotation.T) > 5.0:
        return True
    if not edge.metric:
        return False
    distance = float(np.linalg.norm(motion.translation))
    return float(np.linalg.norm(motion.translation - edge.pose.position)) > 0.2 * distance + 0.2


def _view(frame: Frame, stamp: float, side: str) -> tuple[View, Pose]:
    assert frame.poses is not None
    return View("", stamp, frame.images[side], frame.cameras[side]), frame.poses[side]


if __name__ == "__main__":
    main()
