"""The report: everything in one file, the right numbers, pictures with and without images."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from posed_layouts import rendered_views, write_scene
from synthetic_dump import random_network, synthetic_pair, write_dump
from typer.testing import CliRunner

from msga_ros.cli import app
from msga_ros.datasets.dumps import DumpFile
from msga_ros.datasets.posed.dump import DumpConfig, dump
from msga_ros.datasets.posed.matching import Acceptance
from msga_ros.datasets.posed.sources import open_scene
from msga_ros.evaluation.dump_evaluation import evaluate
from msga_ros.evaluation.examples import Example, best_and_worst
from msga_ros.evaluation.records import PairRecord
from msga_ros.evaluation.report import EXAMPLES, report
from msga_ros.evaluation.report_pictures import Images, picture
from msga_ros.evaluation.report_plots import (
    accuracy_over_time,
    auc_by_difficulty,
    error_over_inlier_ratio,
    look,
    recall_over_error,
    svg,
)
from msga_ros.frontend.config import FrontendConfig


class Page(HTMLParser):
    """What a browser would see: tags, what it would load, text."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attributes if name in ("href", "src")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attributes if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def record(index: int, error: float, estimator: str = "ratio+poselib") -> PairRecord:
    return PairRecord(
        dump="a.h5",
        index=index,
        pair=f"hall {index}.jpg b.jpg",
        scene="hall",
        estimator=estimator,
        weights="",
        settings="0",
        matches=300,
        inlier_ratio=0.03 + 0.05 * index,
        success=math.isfinite(error),
        rotation_error=error / 2,
        translation_error=error,
        precision=0.5,
        recall=1.0,
        f=2 / 3,
        milliseconds=10.0,
        iterations=100,
    )


def msga(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_one_file_with_tables_plots_and_pictures(tmp_path: Path) -> None:
    path = write_dump(tmp_path / "synthetic.h5", [synthetic_pair(seed) for seed in range(1, 6)])
    other = write_dump(tmp_path / "other.h5", [synthetic_pair(seed) for seed in (7, 8)])
    weights = random_network(tmp_path / "random.safetensors")
    out = tmp_path / "report.html"
    kept = tmp_path / "records.jsonl"
    arguments = ["eval", path, other, "-w", weights, "-e", "msga", "-e", "ratio+poselib"]
    printed = msga(*arguments, "--device", "cpu", "--report", out, "--records", kept)
    assert str(out) in printed.replace("\n", "")
    page = Page(out.read_text(encoding="utf-8"))
    assert page.open == []  # every tag is closed
    assert page.loads == [] and "script" not in page.tags
    assert not re.search(r"url\((?!#)", out.read_text())  # but for parts of the page itself
    assert page.words.count("By scene") == 2  # a section for each dump
    for name in ("synthetic.h5", "other.h5", "msga", "ratio+poselib", "AUC@10", "scene0", "scene1"):
        assert name in page.words
    assert page.tags.count("figure") == 2 * 4 + 2 * 2 + 2 * 1  # plots, then best and worst
    records = evaluate([path], ["ratio+poselib"])
    share = 100 * np.mean([record.error < 5.0 for record in records])
    assert f"{share:.1f}" in page.words
    # Nothing is computed again but the examples, and the numbers stay.
    again = tmp_path / "again.html"
    msga(*arguments, "--device", "cpu", "--report", again, "--records", kept)
    tables = [re.findall(r"<table>.*?</table>", p.read_text(), re.S) for p in (out, again)]
    assert tables[0] == tables[1] and len(tables[0]) == 6


def test_names_cannot_break_the_page() -> None:
    odd = replace(record(0, 1.0), dump="<b>&.h5", scene="<script>", pair="<i> a b")
    page = Page(report([odd], [], None, {"<x>": "<y>"}))
    assert page.open == [] and "script" not in page.tags and "x" not in page.tags
    assert "<script>" in page.words


def test_best_and_worst_pairs() -> None:
    records = [record(0, 3.0), record(1, 0.5), record(2, math.inf), record(3, math.inf)]
    best, worst = best_and_worst([*records, record(4, 9.0)], 2)
    assert [r.index for r in best] == [1, 0]
    assert [r.index for r in worst] == [3, 2]  # of two without a pose, the easier one is the worst
    assert best_and_worst(records[:1], 4) == ([], [])


def test_the_recall_curve_reaches_what_the_records_say() -> None:
    records = [record(0, 4.0), record(1, 12.0), record(2, 30.0), record(3, math.inf)]
    (axes,) = recall_over_error({"a": records}).axes
    (line,) = axes.lines
    assert line.get_drawstyle() == "steps-post"  # a share holds up to the next error
    assert line.get_xydata().tolist() == [[0, 0], [4, 25], [12, 50], [20, 50]]
    assert axes.get_xlim() == (0, 20) and axes.get_ylim() == (0, 100)


def test_a_pair_without_a_pose_is_at_the_upper_end() -> None:
    """And one without a true match at the left end: logarithms have no zero."""
    records = [record(0, 4.0), replace(record(1, math.inf), inlier_ratio=0.0), record(2, 1e-9)]
    (axes,) = error_over_inlier_ratio({"a": records}).axes
    (discs,) = axes.collections
    places = sorted(map(tuple, discs.get_offsets().tolist()))
    expected = [(0.5, 180.0), (3.0, 4.0), (13.0, 0.1)]
    assert np.allclose(places, expected)
    assert axes.get_ylim() == (0.1, 180.0) and axes.get_xscale() == axes.get_yscale() == "log"
    assert axes.get_xlim()[0] <= 0.5


def test_bars_and_discs_are_as_high_as_the_area_under_the_curve() -> None:
    """Half of the pairs exact, half hopeless: the area is a half; so is the place of the disc."""
    good, bad = [record(0, 0.0), record(0, math.inf)], [record(0, math.inf)] * 2
    (axes,) = auc_by_difficulty({"a": good, "b": bad}).axes
    assert [round(bar.get_height(), 6) for bar in axes.patches] == [50.0, 0.0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["under 5 % (2)"]
    slow = [replace(one, milliseconds=40.0) for one in bad]
    (axes,) = accuracy_over_time({"a": good, "b": slow}).axes
    places = [tuple(discs.get_offsets()[0].tolist()) for discs in axes.collections]
    assert np.allclose(places, [(10.0, 50.0), (40.0, 0.0)])
    assert [text.get_text() for text in axes.texts] == ["a", "b"]


def test_a_plot_is_a_picture_with_a_title_and_text_that_stays_text() -> None:
    text = svg(recall_over_error({"a": [record(0, 4.0)]}))
    drawing = ElementTree.fromstring(text)
    assert drawing.get("aria-label") == "Recall over pose error"
    assert drawing.get("width") is None and drawing.get("viewBox")
    words = ["".join(one.itertext()) for one in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert "pose error, degrees" in words
    assert svg(recall_over_error({"a": [record(0, 4.0)]})) == text  # the same, each time


def test_series_are_told_apart_by_colour_and_by_dashes() -> None:
    looks = {look(index) for index in range(7)}
    assert len({one.colour for one in looks}) == len({one.dashes for one in looks}) == 7
    records = [record(0, 4.0)]
    (axes,) = recall_over_error({"a": records, "b": records}).axes
    assert [line.get_color() for line in axes.lines] == [look(0).colour, look(1).colour]
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]


def test_pictures_show_the_matches_where_the_images_show_them(tmp_path: Path) -> None:
    """With the images at hand, lines begin at the keypoints; without, in the normalised plane."""
    folder = write_scene(tmp_path / "scenes" / "yard", rendered_views())
    scene = open_scene(folder)
    config = DumpConfig(FrontendConfig(max_keypoints=100), acceptance=Acceptance(1, 0.0), pairs=2)
    dump([scene], tmp_path / "yard.h5", config)
    with DumpFile(tmp_path / "yard.h5") as opened:
        pair = opened[0]
    true = pair.residual < 1e-4
    example = Example(replace(record(0, 1.0), pair=pair.name), pair, true)
    images = Images(tmp_path / "scenes")
    found = images.find(pair)
    assert found is not None and found[0].path.name == pair.name.split()[1]
    assert Images(folder).find(pair) is not None  # the folder of the collection itself will do
    assert Images(tmp_path).find(pair) is None
    space = "{http://www.w3.org/2000/svg}"
    with_images, without = (
        ElementTree.fromstring(picture(example, known)) for known in (images, None)
    )
    assert len(list(with_images.iter(f"{space}image"))) == 2
    assert not list(without.iter(f"{space}image"))
    starts = {}
    for drawing in (with_images, without):
        paths = {p.get("d") for p in drawing.iter(f"{space}path")}
        (drawn,) = (path for path in paths if path)  # nothing is missed or wrong here
        numbers = np.array(re.findall(r"[\d.]+", drawn), float).reshape(-1, 4)
        starts[drawing is without] = numbers
        assert 10 < len(numbers) <= 90
        width, height = map(float, drawing.get("viewBox", "").split()[2:])
        assert (numbers[:, [0, 2]] <= width).all() and (numbers[:, [1, 3]] <= height).all()
    first = scene.images[0].camera.project(pair.correspondences[true][:, :2])
    scale = 250 / scene.images[0].camera.height
    distance = np.abs(starts[False][:, None, :2] - (first[None] + 0.5) * scale).max(-1).min(1)
    assert distance.max() < 0.1


def test_pictures_are_missing_where_images_cannot_be_read(tmp_path: Path) -> None:
    pair = synthetic_pair(1)
    example = Example(record(0, 1.0), pair, np.zeros(len(pair.residual), bool))
    folder = write_scene(tmp_path / "scene1", rendered_views())
    for image in (folder / "images").iterdir():
        image.write_bytes(b"")
    named = replace(pair, name="yard left_000.png right_000.png")
    drawing = picture(replace(example, pair=named), Images(folder))
    assert "<image" not in drawing and "<circle" in drawing
    assert EXAMPLES >= 2


def test_mistakes_are_one_clear_line(tmp_path: Path) -> None:
    path = write_dump(tmp_path / "a.h5", [synthetic_pair(1)])
    for extra, text in [
        (["--report", tmp_path / "absent" / "r.html"], "folder of the report not found"),
        (["--images", tmp_path / "absent"], "folder of the images not found"),
    ]:
        result = CliRunner().invoke(app, ["eval", str(path), *map(str, extra)])
        assert result.exit_code == 2
        (line,) = result.output.splitlines()
        assert text in line
