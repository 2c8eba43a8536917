"""How the benchmark of place recognition counts: true, false and undecided pairs, thresholds."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "place_recognition"
SHOWS = {"a/1": "a", "a/2": "a", "a/3": "a", "b/1": "b", "alias/1": "a"}
# Of query a/1: a true pair, one of its place that sees something else, an alias, another place.
OTHERS = ["a/2", "a/3", "alias/1", "b/1"]


def records(inliers: list[int], turned: float, status: str = "OK") -> list[dict]:
    header = {
        "kind": "header",
        "shows": SHOWS,
        "places": {key: key.partition("/")[0] for key in SHOWS},
        "proposals": {"a/1": OTHERS},
        "overlap": {"a/1": {"a/2": 0.5, "a/3": 0.1, "b/9": 0.9}},
        "extract_ms": [1.0],
        "describe_ms": [1.0],
        "search_ms": [1.0],
    }
    pairs = []
    for other, count in zip(OTHERS, inliers, strict=True):
        answer: dict = {"inliers": count, "ms": 1.0, "status": status}
        if other.startswith("a/"):
            answer["errors_deg"] = [turned, 1.0]
        pair = sorted(("a/1", other))
        pairs.append({"kind": "pair", "pair": pair, "group": "g", "methods": {"one": answer}})
    return [header, *pairs]


@pytest.fixture(scope="module")
def report() -> Iterator[ModuleType]:
    yield from imported("report")


def imported(name: str) -> Iterator[ModuleType]:
    """A module of the benchmark, whose modules find each other as in a run of it."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


def counted(report: ModuleType, folder: Path, lines: list[dict], poses: bool) -> tuple:
    """Threshold of 100 %, false pairs accepted and proposed, recall of proposed and of all."""
    path = folder / "records.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    one = report.load(path, poses)["one"]
    limit = one.threshold(1.0)
    return (limit, one.at(limit)[1], int(one.false.sum()), *one.recall(limit)[:2])


@pytest.mark.parametrize("poses", [False, True])
def test_another_place_alone_sets_the_threshold(
    report: ModuleType, tmp_path: Path, poses: bool
) -> None:
    # Neither the other side of the place (90) nor its alias (95) is false.
    found = counted(report, tmp_path, records([50, 90, 95, 40], turned=2.0), poses)
    assert found == (50, 0, 1, 1.0, 0.5)
    found = counted(report, tmp_path, records([50, 0, 0, 60], turned=2.0), poses)
    assert found == (61, 0, 1, 0.0, 0.0)


def test_what_any_verification_could_reach(
    report: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two true pairs in the data, of which one was proposed and held; two other photographs of the
    place, of which both held."""
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records([50, 90, 95, 40], 2.0)))
    methods = report.load(path, False)
    report.ceilings(methods, methods)
    assert "| one | 2 / 1 = 2.000 | 2 / 2 = 1.000 |" in capsys.readouterr().out


def test_a_pose_that_is_wrong_is_false_and_one_that_is_not_claimed_is_not_accepted(
    report: ModuleType, tmp_path: Path
) -> None:
    wrong = records([50, 90, 95, 40], turned=30.0)
    assert counted(report, tmp_path, wrong, False) == (50, 0, 1, 1.0, 0.5)
    assert counted(report, tmp_path, wrong, True)[1:] == (0, 3, 0.0, 0.0)
    unsaid = records([50, 90, 95, 40], turned=30.0, status="DEGENERATE")
    assert counted(report, tmp_path, unsaid, True)[1:] == (0, 3, 0.0, 0.0)


def test_a_method_without_a_threshold_is_judged_in_hindsight_and_it_is_said(
    report: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records([50, 90, 95, 40], 2.0)))
    methods = report.load(path, False)
    report.table(methods, {"one": methods["one"], "new": methods["one"]}, 1.0)
    said = [line.split(" | ")[:3] for line in capsys.readouterr().out.splitlines()[-2:]]
    assert said == [["| one", "50", "0 of 1"], ["| new", "50, hindsight", "0 of 1"]]


def test_photographs_see_the_same_where_their_cameras_look_at_the_same_points() -> None:
    """By the poses of a made-up place, whatever can be matched between two of its photographs."""
    (truth,), (photographs,) = imported("truth"), imported("views")
    rng = np.random.default_rng(0)
    camera = Camera.pinhole(400, 400, 320, 240, 640, 480)
    points = rng.uniform([-9, -2, 5], [9, 2, 7], (400, 3))
    names = rng.normal(size=(400, 32)).astype(np.float32)
    views, features = [], []
    for x in (0.0, 0.5, 3.0, 12.0):
        seen = points - [x, 0, 0]
        pixels = camera.project(seen[:, :2] / seen[:, 2:])
        inside = ((pixels >= 0) & (pixels < [639, 479])).all(1)
        scores = np.ones(int(inside.sum()), np.float32)
        pixels = pixels[inside].astype(np.float32)
        features.append(Features(pixels, scores, names[inside], (640, 480)))
        pose = Pose(np.eye(3), np.array([-x, 0.0, 0.0]))
        views.append(photographs.View("p", "p", str(x), Path(), camera, pose))
    found = truth.overlaps(views, features)
    assert found[0, 1] > 0.85
    assert 0.4 < found[0, 2] < found[1, 2] < found[0, 1]
    assert not found[0, 3] > 0.0
