r"""What a query, a start and a correction of the map cost as the map of `msga loops` grows.

    python benchmarks/map_growth.py ../shared/data --map /tmp/growing.map --output growth.json

Keyframes are made of real ones: the features of two photographs of different training places, drawn
at random, in the shares 0.7 and 0.3, their descriptors and keypoints disturbed, so that global
descriptors and sizes on the disk are those of real images. Queries are other photographs of the
same places: they find what was made of their neighbours among thousands of distractors. Sizes that
lie in `--output` are not measured again; the map goes on growing where it was left. With 2000
features a keyframe takes 1.1 MB of `--map`.

`--frontend fast_sift`: another map, of features that have the same vocabulary. `--beside HZ`:
meanwhile another process relates pairs of images at this rate with the preset `realtime`; wall
times then say what a robot would wait.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from place_recognition.views import FeatureFolder, View, views_of

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.drift import OdometryChain
from msga_ros.loops.keyframe import Keyframe
from msga_ros.loops.location import locate
from msga_ros.loops.pose_graph import PoseGraph
from msga_ros.loops.proposals import Proposals
from msga_ros.loops.reports import LoopEdge, ScaleSource
from msga_ros.loops.store import KeyframeStore
from msga_ros.loops.verification import Verifier
from msga_ros.loops.vlad import Vocabulary, packaged_vocabulary
from msga_ros.odometry.poses import UncertainPose
from msga_ros.two_view.pipeline import TwoViewPipeline
from msga_ros.two_view.result import Status

SOURCES, QUERIES = 150, 20
SHARE = 0.7  # of the features, from the first photograph
DESCRIPTOR_NOISE, PIXEL_NOISE = 0.02, 2.0  # standard deviations of each entry
LAP, STEP = 800, 0.5  # keyframes of a round, metres
WRONG_M = np.array([3.0, 0.0, 2.0])  # by which a wrong loop is off


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 3000, 10_000])
    parser.add_argument("--loops", type=int, default=300, help="in the pose graph, at most")
    parser.add_argument("--map", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("place_recognition_features"))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--frontend", choices=("sift", "fast_sift"), default="sift")
    parser.add_argument("--beside", type=float, default=0.0, metavar="HZ")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    vocabulary = packaged_vocabulary()
    pipeline = TwoViewPipeline.from_config(**{"frontend.name": asked.frontend})
    kept = FeatureFolder(asked.cache / asked.frontend, pipeline)
    views = views_of(asked.data, "train")
    drawn = [views[one] for one in np.random.default_rng(0).permutation(len(views))]
    sources = [(one, kept.of(one)[0]) for one in drawn[:SOURCES]]
    queries = drawn[SOURCES : SOURCES + QUERIES]
    found = json.loads(asked.output.read_text()) if asked.output.exists() else {}
    for size in sorted(asked.sizes):
        if str(size) in found:
            continue
        grown = grow(asked.map, size, sources, vocabulary)
        with beside(asked.data, asked.beside):
            found[str(size)] = {
                **grown,
                **restarted_and_asked(asked.map, queries, pipeline, vocabulary),
                **corrected(size, asked.loops),
            }
        asked.output.write_text(json.dumps(found, indent=1))
        print(size, json.dumps(found[str(size)]), flush=True)


def grow(
    path: Path, size: int, sources: list[tuple[View, Features]], vocabulary: Vocabulary
) -> dict[str, Any]:
    """Add keyframes until there are `size`; what an `add` takes, and the file."""
    taken = []
    with KeyframeStore(path) as store:
        for number in range(len(store), size):
            made = made_up(number, sources, vocabulary)
            started = time.process_time()
            store.add(made)
            taken.append(1e3 * (time.process_time() - started))
        resident = resident_mb()
    return {
        "add_cpu_ms": times(taken),
        "file_mb": round(path.stat().st_size / 1e6, 1),
        "resident_after_adding_mb": resident,
    }


def made_up(number: int, sources: list[tuple[View, Features]], vocabulary: Vocabulary) -> Keyframe:
    """A keyframe that no photograph is."""
    rng = np.random.default_rng(number)
    (view, first), (_, second) = (sources[one] for one in rng.permutation(len(sources))[:2])
    count = max(len(first), len(second))
    rows = [
        rng.permutation(len(one))[: round(share * count)]
        for one, share in ((first, SHARE), (second, 1 - SHARE))
    ]
    joined = {
        name: np.concatenate([getattr(first, name)[rows[0]], getattr(second, name)[rows[1]]])
        for name in ("keypoints", "scores", "descriptors", "angles", "sizes")
    }
    noise = DESCRIPTOR_NOISE * rng.standard_normal(joined["descriptors"].shape, np.float32)
    descriptors = np.maximum(joined["descriptors"] + noise, 0.0)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    moved = joined["keypoints"] + PIXEL_NOISE * rng.standard_normal(joined["keypoints"].shape)
    limits = np.array(first.image_size, np.float32) - 1
    features = replace(
        first,
        **{
            **joined,
            "descriptors": descriptors,
            "keypoints": np.clip(moved, 0, limits).astype(np.float32),
        },
    )
    return Keyframe(
        f"{number}", float(number), view.camera, features, vocabulary.describe(descriptors)
    )


def restarted_and_asked(
    path: Path, queries: list[View], pipeline: TwoViewPipeline, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Open the map as a restart does, then look for photographs in it."""
    config = LoopConfig()
    cpu, wall = time.process_time(), time.monotonic()
    store = KeyframeStore(path)
    opened = {
        "open_cpu_s": round(time.process_time() - cpu, 2),
        "open_wall_s": round(time.monotonic() - wall, 2),
    }
    chain = OdometryChain(config)
    for odometry, segment in store.odometry:
        chain.append(odometry, segment)
    proposals = Proposals(store, config)
    verifier = Verifier(store, pipeline, chain, config)
    poses, found = [None] * len(store), 0  # without odometry a keyframe has no place
    parts: dict[str, list[float]] = {
        name: [] for name in ("extract", "describe", "search", "verify", "query", "query_wall")
    }
    for view in queries:
        pixels = np.asarray(cv2.imread(str(view.path), cv2.IMREAD_GRAYSCALE))
        started = time.monotonic()
        laps = [time.process_time()]
        features = pipeline.extract(pixels)
        laps.append(time.process_time())
        descriptor = vocabulary.describe(features.descriptors)
        laps.append(time.process_time())
        candidates = proposals.of(descriptor, None, 0.0)
        laps.append(time.process_time())
        asked = Keyframe(view.key, 0.0, view.camera, features, descriptor)
        edges = (verifier.edge(one, asked) for one in candidates)
        found += locate((one for one in edges if one is not None), poses, config).found
        laps.append(time.process_time())
        for name, seconds in zip(parts, [*np.diff(laps), laps[-1] - laps[0]], strict=False):
            parts[name].append(1e3 * seconds)
        parts["query_wall"].append(1e3 * (time.monotonic() - started))
    resident = resident_mb()
    store.close()
    return {
        **opened,
        **{f"{name}_ms": times(values) for name, values in parts.items()},
        "found": found,
        "resident_after_queries_mb": resident,
        "resident_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }


def corrected(size: int, loops: int) -> dict[str, Any]:
    """The pose graph with one more right loop, and with one that is wrong among right ones, from
    the last poses."""
    rng = np.random.default_rng(0)
    truth = rounds(size)
    odometry = [truth[0]]
    for number in range(1, size):
        step = truth[number].relative_to(truth[number - 1])
        turn = rotation_matrix(np.deg2rad(0.5) * rng.normal(size=3))
        moved = Pose(turn @ step.rotation, step.translation + 0.02 * rng.normal(size=3))
        odometry.append(moved.after(odometry[-1]))
    chain = OdometryChain(LoopConfig())
    for pose in odometry:
        chain.append(pose, 0)
    lap = min(LAP, size // 2)
    currents = np.sort(rng.choice(np.arange(lap, size), min(loops, size - lap), replace=False))
    edges = [loop_between(truth, int(one) - lap, int(one), rng) for one in currents]
    graph = PoseGraph(chain)
    before = graph.solve(odometry, edges[:-1])
    started = time.process_time()
    after = graph.solve(before.poses, edges)
    right = time.process_time() - started
    middle = int(currents[len(currents) // 2])
    wrong = loop_between(truth, middle - lap, middle, rng)
    wrong = replace(wrong, pose=replace(wrong.pose, position=wrong.pose.position + WRONG_M))
    started = time.process_time()
    rejected = graph.solve(after.poses, [*edges, wrong]).rejected
    return {
        "loops": len(edges),
        "loop_cpu_ms": round(1e3 * right, 1),
        "wrong_loop_cpu_ms": round(1e3 * (time.process_time() - started), 1),
        "wrong_loop_found": wrong in rejected,
        "right_loops_rejected": len([one for one in rejected if one is not wrong]),
    }


def rounds(size: int) -> list[Pose]:
    """Round and round on a circle of `LAP` keyframes that lie `STEP` apart."""
    poses = []
    for number in range(size):
        angle = 2 * np.pi * number / min(LAP, size // 2)
        radius = STEP * LAP / (2 * np.pi)
        turn = rotation_matrix([0.0, angle, 0.0])
        poses.append(Pose(turn, -turn @ (radius * np.array([np.cos(angle), 0, np.sin(angle)]))))
    return poses


def loop_between(
    truth: list[Pose], reference: int, current: int, rng: np.random.Generator
) -> LoopEdge:
    """A right loop, but for the noise that its covariance says."""
    motion = truth[current].relative_to(truth[reference]).inverse()
    covariance = np.diag([0.05] * 3 + [np.deg2rad(0.5)] * 3) ** 2
    pose = UncertainPose(
        rotation_matrix(np.deg2rad(0.5) * rng.normal(size=3)) @ motion.rotation,
        motion.translation + 0.05 * rng.normal(size=3),
        covariance,
    )
    return LoopEdge(reference, current, 0.0, 0.0, pose, 100, ScaleSource.ODOMETRY, Status.OK, 0.5)


@contextlib.contextmanager
def beside(data: Path, rate: float) -> Iterator[None]:
    """A stream in another process for the time of the block; `rate` 0: none."""
    if rate <= 0:
        yield
        return
    process = multiprocessing.get_context("spawn").Process(target=stream, args=(data, rate))
    process.start()
    try:
        time.sleep(10.0)  # it loads its network
        yield
    finally:
        process.terminate()
        process.join()


def stream(data: Path, rate: float) -> None:
    """Relate the images of one place in turn, for ever."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pipeline = TwoViewPipeline.from_config("realtime")
    views = views_of(data, "train")[:10]
    images = [np.asarray(cv2.imread(str(one.path), cv2.IMREAD_GRAYSCALE)) for one in views]
    number, due = 0, time.monotonic()
    while True:
        one, other = number % len(views), (number + 1) % len(views)
        pipeline(images[one], images[other], views[one].camera, views[other].camera)
        number, due = number + 1, due + 1.0 / rate
        time.sleep(max(0.0, due - time.monotonic()))


def times(values: list[float]) -> dict[str, float]:
    """Median and 99 %, in what they are given."""
    if not values:
        return {}
    low, high = np.percentile(values, (50, 99))
    return {"median": round(float(low), 2), "p99": round(float(high), 2)}


def resident_mb() -> int:
    """Of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e6)


if __name__ == "__main__":
    main()
