r"""What `locate` saves by stopping at a certain pose, on photographs.

    python benchmarks/early_answers.py ../shared/data --map /tmp/places.map

Photographs of training places drawn at random are a map without odometry; some of them are looked
for among all others. The answer is found where it would be with all candidates verified; the table
says at what CPU time of either, and how right it is. Photographs of other places are looked for,
too, and should not be found.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from place_recognition.views import FeatureFolder, View, views_of

from msga_ros.geometry.pose import pose_error_deg
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.drift import OdometryChain
from msga_ros.loops.keyframe import Keyframe
from msga_ros.loops.location import locate
from msga_ros.loops.reports import LoopEdge
from msga_ros.loops.store import KeyframeStore
from msga_ros.loops.verification import Candidate, Verifier
from msga_ros.loops.vlad import Vocabulary, packaged_vocabulary
from msga_ros.two_view.pipeline import TwoViewPipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--map", type=Path, required=True, help="written, and removed at the end")
    parser.add_argument("--cache", type=Path, default=Path("place_recognition_features"))
    parser.add_argument("--frontend", choices=("sift", "fast_sift"), default="sift")
    parser.add_argument("--places", type=int, default=30)
    parser.add_argument("--queries", type=int, default=60)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    vocabulary, rng = packaged_vocabulary(), np.random.default_rng(1)
    pipeline = TwoViewPipeline.from_config(**{"frontend.name": asked.frontend})
    kept = FeatureFolder(asked.cache / asked.frontend, pipeline)
    views = views_of(asked.data, "train")
    drawn = set(rng.permutation(sorted({one.place for one in views}))[: asked.places])
    others = [one for one in views if one.place not in drawn]
    views = [one for one in views if one.place in drawn]
    known = {one.shows for one in views}
    others = [one for one in others if one.shows not in known]
    asked.map.unlink(missing_ok=True)
    with KeyframeStore(asked.map) as store:
        for view in views:
            store.add(keyframe(view, kept, vocabulary))
        chain = OdometryChain(LoopConfig())
        for odometry, segment in store.odometry:
            chain.append(odometry, segment)
        verifier = Verifier(store, pipeline, chain, LoopConfig())
        queries = rng.permutation(len(views))[: asked.queries]
        strangers = [others[one] for one in rng.permutation(len(others))[: asked.queries]]
        rows = [looked_for(store[int(one)], int(one), views, store, verifier) for one in queries]
        unknown = [
            looked_for(keyframe(one, kept, vocabulary), None, [*views, one], store, verifier)
            for one in strangers
        ]
    asked.map.unlink()
    print(f"{len(views)} photographs of {asked.places} places, {len(rows)} queries")
    say_times(rows, [kept.of(views[one])[1] for one in queries])
    errors = [row[2] for row in rows if row[2] is not None]
    print(
        f"found {len(errors)}, at another place {sum(np.isinf(one) for one in errors)}, "
        f"rotation off by more than 5 degrees {sum(5 < one < np.inf for one in errors)}"
    )
    print(f"{len(unknown)} photographs of other places")
    say_times(unknown, [kept.of(one)[1] for one in strangers])
    wrong = [one.key for one, row in zip(strangers, unknown, strict=True) if row[2] is not None]
    print(f"found {len(wrong)} {' '.join(wrong)}")


def keyframe(view: View, kept: FeatureFolder, vocabulary: Vocabulary) -> Keyframe:
    """Without odometry."""
    features, _ = kept.of(view)
    described = vocabulary.describe(features.descriptors)
    return Keyframe(view.key, 0.0, view.camera, features, described)


def say_times(rows: list[tuple[float, float, float | None]], extracted: list[float]) -> None:
    """Of `looked_for`, and with the CPU ms that the features of each took."""
    spent = np.array([(*row[:2], row[1] + ms) for row, ms in zip(rows, extracted, strict=True)])
    parts = ("verification, all candidates", "verification, until certain", "with the features")
    for name, values in zip(parts, spent.T, strict=True):
        low, high = np.percentile(values, (50, 99))
        print(f"{name}: {low:.0f} ms, 99 % {high:.0f} ms")


def looked_for(
    query: Keyframe,
    number: int | None,
    views: list[View],
    store: KeyframeStore,
    verifier: Verifier,
) -> tuple[float, float, float | None]:
    """CPU ms of all candidates and of those that were needed; degrees by which the rotation of the
    answer is off, infinite at another place, None where there is none.

    `number` of the query in the map; None: it is none of it, and the last of `views`."""
    config = LoopConfig()
    similarity = store.descriptors @ query.descriptor
    if number is not None:
        similarity[number] = -np.inf
    edges: list[LoopEdge | None] = []
    spent: list[float] = []
    for one in np.argsort(-similarity)[: config.candidates]:
        started = time.process_time()
        edges.append(verifier.edge(Candidate(int(one), float(similarity[one])), query))
        spent.append(1e3 * (time.process_time() - started))
    used: list[float] = []

    def in_turn() -> Iterator[LoopEdge]:
        for edge, milliseconds in zip(edges, spent, strict=True):
            used.append(milliseconds)
            if edge is not None:
                yield edge

    edge = locate(in_turn(), [None] * len(store), config).edge
    error = None
    if edge is not None:
        seen, here = views[edge.reference], views[-1 if number is None else number]
        true = here.pose.relative_to(seen.pose)
        error = pose_error_deg(edge.pose.rotation.T, [1, 0, 0], true.rotation, [1, 0, 0])[0]
        error = float(error) if seen.shows == here.shows else np.inf
    return sum(spent), sum(used), error


if __name__ == "__main__":
    main()
