"""The matches for training: which place is in which part, and one file made, stopped and read."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import h5py
import pytest
from posed_layouts import rendered_views, write_scene
from shared_data import shared_path

from msga_ros.datasets.dumps import DumpFile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "make_matches.py"
    spec = importlib.util.spec_from_file_location("make_matches", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their names
    spec.loader.exec_module(module)
    return module


def test_no_place_is_in_two_parts(script: ModuleType) -> None:
    parts = script.parts(shared_path("data/places").parent, script.DEVELOPMENT)
    assert {part: len(folders) for part, folders in parts.items()} == {
        "train": 87 + 4,
        "development": 16,
        "val": 16,
    }
    every = [folder.name for folders in parts.values() for folder in folders]
    assert len(set(every)) == len(every)
    assert all((folder / "scene.json").is_file() for part in parts.values() for folder in part)
    with DumpFile(shared_path("data/val.h5")) as val:
        evaluated = {val.name(index).split()[0] for index in range(len(val))}
    assert not evaluated & set(every)


def test_development_places_are_of_sources_of_their_own(script: ModuleType) -> None:
    """Photographs of one repository may show the same; the old shards must not show them either."""
    data = shared_path("data/places").parent
    with (data / "places.csv").open(newline="", encoding="utf-8") as file:
        sources = {row["name"]: row["source"].split("@")[0] for row in csv.DictReader(file)}
    parts = script.parts(data, script.DEVELOPMENT)
    train, development = (
        {sources[folder.name] for folder in parts[part] if folder.name in sources}
        for part in ("train", "development")
    )
    assert len(development) > 10 and not train & development
    names = {folder.name for folder in parts["development"]}
    for number in range(4):
        with DumpFile(shared_path(f"data/train-{number}.h5")) as shard:
            shown = {shard.name(index).split()[0] for index in range(len(shard))}
        assert not names & shown


def test_a_place_that_is_not_for_training_is_refused(script: ModuleType, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("# comment\nbm_cippus  # object\nnineveh_panel17\n")  # the second is `val`
    with pytest.raises(SystemExit, match=r"not among the training places: nineveh_panel17$"):
        script.parts(shared_path("data/places").parent, chosen)


def test_a_file_has_matches_of_the_setting_and_the_table_says_how_many(
    script: ModuleType, tmp_path: Path
) -> None:
    folder = write_scene(tmp_path / "yard", rendered_views())
    setting = replace(script.TRAINING[0], frontend="orb", size=200, keypoints=150, pairs=3)
    path = tmp_path / "train_orb_200.h5"
    script.make([folder], setting, path, workers=1)
    with DumpFile(path) as reader:
        assert len(reader) == 3
        assert all(len(pair.residual) <= 150 for pair in reader)
    with h5py.File(path) as file:
        settings = json.loads(file.attrs["settings"])
    assert settings["frontend"]["max_image_size"] == 200
    assert settings["seed"] == setting.seed
    table = script.summary([path])
    assert [column.header for column in table.columns][:3] == ["file", "places", "pairs"]
    assert [next(iter(column.cells)) for column in table.columns][:3] == [path.name, "1", "3"]
    shares = [float(next(iter(column.cells)).rstrip("%")) for column in table.columns[5:]]
    assert abs(sum(shares) - 100.0) <= 3.0  # rounded
