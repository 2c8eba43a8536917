r"""Place recognition and verification judged, beside the verification that others use.

    places=../shared/data
    python benchmarks/place_recognition $places --split train --queries 200 --output train.jsonl
    python benchmarks/place_recognition $places --split val --among all --output val.jsonl
    python benchmarks/place_recognition/report.py train.jsonl val.jsonl

Every photograph (`--queries`: so many, drawn at random) is a query against all others of all
places of its split, with `--among all` of both splits. The `--proposals` most similar ones by the
global descriptor are verified by each method;
`--learned N`: those of the first N queries by LightGlue, too (extra `learned`; seconds a pair). A
pair is verified once, whichever of the two was the query. Records are written as they come; what
lies in `--output` is not done again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from methods import Answer, of_aliked, of_sift
from truth import overlaps
from views import FeatureFolder, View, views_of

from msga_ros.frontend.base import Features
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.loops.vlad import Vocabulary, packaged_vocabulary
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.pipeline import TwoViewPipeline

Group = Callable[[TwoViewPipeline, View, View, Features, Features], dict[str, Answer]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", choices=("val", "train"), required=True)
    parser.add_argument("--among", choices=("split", "all"), default="split", help="are searched")
    parser.add_argument("--queries", type=int, default=0, help="drawn at random; 0: all")
    parser.add_argument("--proposals", type=int, default=20, help="of each query")
    parser.add_argument("--learned", type=int, default=0, metavar="N", help="queries")
    parser.add_argument("--cache", type=Path, default=Path("place_recognition_features"))
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    vocabulary = packaged_vocabulary()
    sift = TwoViewPipeline.from_config(**{"frontend.name": vocabulary.frontend})
    views = views_of(asked.data, asked.split)
    other = "train" if asked.split == "val" else "val"
    distractors = views_of(asked.data, other) if asked.among == "all" else []
    kept = FeatureFolder(asked.cache / vocabulary.frontend, sift)
    records = Records(asked.output)
    # In random order, so that a run that was interrupted has judged a fair sample.
    drawn = np.random.default_rng(0).permutation(len(views))
    queries = [int(one) for one in drawn[: asked.queries or len(views)]]
    if not records.known("header"):
        records.write(described(views, distractors, queries, kept, vocabulary, asked.proposals))
    (header,) = records.known("header")
    proposals = dict(itertools.islice(header["proposals"].items(), asked.queries or None))
    views += distractors
    verify(records, views, proposals, kept, sift, of_sift)
    if asked.learned:
        wide = TwoViewPipeline(PipelineConfig.load("wide"))
        aliked = FeatureFolder(asked.cache / wide.config.frontend.name, wide)
        some = dict(itertools.islice(proposals.items(), asked.learned))
        verify(records, views, some, aliked, wide, of_aliked)


class Records:
    """JSON lines of three kinds: `header`, and `pair` for each group of methods."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._all = [json.loads(line) for line in lines]

    def known(self, kind: str) -> list[dict]:
        """All of a kind."""
        return [one for one in self._all if one["kind"] == kind]

    def write(self, record: dict) -> None:
        """Append."""
        self._all.append(record)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def described(
    views: list[View],
    distractors: list[View],
    queries: list[int],
    kept: FeatureFolder,
    vocabulary: Vocabulary,
    count: int,
) -> dict:
    """What of `views` and `distractors` is proposed for each query of `views`, and how much
    photographs of one place have in common."""
    table, described_ms, searched_ms = [], [], []
    searched = [*views, *distractors]
    for view in searched:
        features, _ = kept.of(view)
        started = time.process_time()
        table.append(vocabulary.describe(features.descriptors))
        described_ms.append(1e3 * (time.process_time() - started))
    descriptors = np.stack(table)
    proposals = {}
    for query in queries:
        started = time.process_time()
        similarity = descriptors @ descriptors[query]
        similarity[query] = -np.inf
        order = np.argsort(-similarity, kind="stable")[:count]
        searched_ms.append(1e3 * (time.process_time() - started))
        proposals[views[query].key] = [searched[one].key for one in order]
    shared: dict[str, dict[str, float]] = {}
    for place, group in itertools.groupby(views, key=lambda one: one.place):
        members = list(group)
        table_of = overlaps(members, [kept.of(one)[0] for one in members])
        print(f"{place}: {np.isfinite(table_of).sum()} of {table_of.size - len(members)} pairs")
        for view, row in zip(members, table_of, strict=True):
            known = zip(members, row, strict=True)
            shared[view.key] = {one.key: round(float(x), 3) for one, x in known if np.isfinite(x)}
    return {
        "kind": "header",
        "shows": {one.key: one.shows for one in searched},
        "places": {one.key: one.place for one in searched},
        "proposals": proposals,
        "overlap": shared,
        "extract_ms": [kept.of(view)[1] for view in views],
        "describe_ms": described_ms,
        "search_ms": searched_ms,
    }


def verify(
    records: Records,
    views: list[View],
    proposals: dict[str, list[str]],
    kept: FeatureFolder,
    pipeline: TwoViewPipeline,
    methods: Group,
) -> None:
    """One group of methods on all proposals that have no record of it yet."""
    by_key = {view.key: view for view in views}
    group = methods.__name__
    done = {tuple(one["pair"]) for one in records.known("pair") if one["group"] == group}
    for query, others in proposals.items():
        for other in others:
            pair = tuple(sorted((query, other)))
            if pair in done:
                continue
            done.add(pair)
            first, second = (by_key[one] for one in pair)
            features = (kept.of(first)[0], kept.of(second)[0])
            answers = methods(pipeline, first, second, *features)
            same = first.place == second.place
            judged = {
                name: judgement(answer, first, second, same) for name, answer in answers.items()
            }
            records.write({"kind": "pair", "pair": pair, "group": group, "methods": judged})


def judgement(answer: Answer, first: View, second: View, same: bool) -> dict:
    """Inliers, time, and for one place the errors of rotation and direction in degrees."""
    found: dict = {"inliers": answer.inliers, "ms": round(answer.milliseconds, 2)}
    if answer.status:
        found["status"] = answer.status
    if same and np.isfinite(answer.rotation).all():
        motion = second.pose.relative_to(first.pose)
        errors = pose_error_deg(
            answer.rotation, answer.translation, motion.rotation, motion.translation, signed=True
        )
        found["errors_deg"] = [round(float(one), 3) for one in errors]
    return found


if __name__ == "__main__":
    main()
