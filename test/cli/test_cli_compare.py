"""`msga compare`: table, JSON, report, and clear lines for mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from posed_layouts import rendered_views, write_scene
from typer.testing import CliRunner

from msga_ros.cli import app

QUICK = ("-m", "orb+none,frontend.ratio=0.8", "-m", "opencv-orb")


def msga(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("scenes")
    return [write_scene(folder / name, rendered_views(), name=name) for name in ("yard", "other")]


def test_posed_scenes(scenes: list[Path], tmp_path: Path) -> None:
    rows_file, page, records = (tmp_path / name for name in ("r.json", "r.html", "r.jsonl"))
    table = tmp_path / "places.csv"
    table.write_text("name,domain\nyard,outdoor\nother,indoor\n")
    code, text = msga(
        *("compare", *scenes, *QUICK, "--pairs", 3, "--unrelated", 2, "--by", "domain"),
        *("--domains", table, "--json", rows_file, "--report", page, "--records", records),
    )
    assert code == 0, text
    assert "opencv-orb" in text and "outdoor" in text
    rows = json.loads(rows_file.read_text())
    assert [(row["group"], row["method"], row["pairs"]) for row in rows[:2]] == [
        ("", "orb+none,frontend.ratio=0.8", 8),
        ("", "opencv-orb", 8),
    ]
    assert rows[0]["right"] > 50 and rows[0]["cpu_ms"] > 0 and rows[0]["memory_mb"] is not None
    assert {row["group"] for row in rows[2:]} == {"outdoor", "indoor"}
    html = page.read_text()
    assert html.count('class="plot"') == 2 and html.count("data:image/jpeg") >= 4
    assert len(records.read_text().splitlines()) == 16


def test_pictures_without_poses(scenes: list[Path], tmp_path: Path) -> None:
    for index, view in enumerate(rendered_views()[:4]):
        cv2.imwrite(str(tmp_path / f"{index}.png"), view.image)
    rows_file = tmp_path / "rows.json"
    code, text = msga(
        *("compare", tmp_path, *QUICK, "--gap", 1, "--camera", "240,240,145.5,116.5"),
        *("--json", rows_file),
    )
    assert code == 0, text
    first, second = json.loads(rows_file.read_text())
    assert first["pairs"] == 3 and first["auc5"] is None and first["right"] is None
    assert second["agreeing"] is None or 0 <= second["agreeing"] <= 100
    assert first["inliers"] > 12


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("nowhere",), "neither a video nor a folder"),
        (("SCENE", "-m", "surf"), "is no method"),
        (("SCENE", "--by", "domain", *QUICK), "need --domains"),
        (("SCENE", *QUICK, "--json", "nowhere/rows.json"), "folder of the JSON file"),
        (("SCENE", *QUICK, "--pair-list", "nowhere.txt"), "list of pairs not found"),
        (("EMPTY", *QUICK), "no picture"),
        (("BAG", *QUICK), "drive: "),
        (("SCENE", "BAG", *QUICK, "--pair-list", "x"), "are for posed images"),
        (("EMPTY", *QUICK, "--topic", "image=/left"), "--topic is for bags"),
        (("SCENE", *QUICK, "--records", "BAG"), "file of records is a folder"),
        (("SCENE", *QUICK, "--records", "BINARY"), "line 1: not a record"),
        (("SCENE", "SCENE", *QUICK), "called yard"),
    ],
)
def test_mistakes_are_one_clear_line(
    arguments: tuple[str, ...], part: str, scenes: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive" / "metadata.yaml").write_text("rosbag2_bagfile_information: {}\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n")
    known = {
        "SCENE": str(scenes[0]),
        "EMPTY": str(tmp_path / "empty"),
        "BAG": str(tmp_path / "drive"),
        "BINARY": str(tmp_path / "picture.png"),
    }
    code, text = msga("compare", *(known.get(one, one) for one in arguments))
    assert code == 2, text
    assert part in text.replace("\n", " ") and "Traceback" not in text
    assert (tmp_path / "picture.png").read_bytes() == b"\x89PNG\r\n"  # another's file is left alone


def test_a_second_front_end_is_part_of_a_method(scenes: list[Path], tmp_path: Path) -> None:
    first = "orb+none,frontend.max_keypoints=60"
    both = f"{first},second_frontend.name=sift,second_frontend.sieve=none"
    rows_file = tmp_path / "r.json"
    code, text = msga(
        *("compare", *scenes, "-m", first, "-m", both, "--pairs", 3, "--json", rows_file)
    )
    assert code == 0, text
    alone, asked = json.loads(rows_file.read_text())
    assert alone["asked_second"] == 0 and "second" not in alone["cpu_stages"]
    assert 0 < asked["asked_second"] <= alone["refused"] and asked["cpu_stages"]["second"] > 0
    assert asked["refused"] < alone["refused"] and asked["confidently_wrong"] == 0
    assert asked["right"] > alone["right"] and asked["cpu_ms"] > alone["cpu_ms"]


def test_a_second_front_end_that_cannot_be_is_one_clear_line(scenes: list[Path]) -> None:
    for name, reason in (("orb", "another front end"), ("surf", "unknown front end 'surf'")):
        code, text = msga("compare", scenes[0], "-m", f"orb+none,second_frontend.name={name}")
        assert code == 2, text
        assert reason in text.replace("\n", " ") and "Traceback" not in text
