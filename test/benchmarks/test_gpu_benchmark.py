"""The measurements for a GPU run on a CPU too, at small sizes, and go on where they stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from shared_data import shared_path

ROOT = Path(__file__).resolve().parents[2]


def measured(folder: Path, *arguments: str) -> dict:
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu"), "--output", "gpu.json"]
    command += ["--device", "cpu", "--small", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=540)
    return json.loads((folder / "gpu.json").read_text())


def test_sections_and_a_training_and_what_is_there_is_kept(tmp_path: Path) -> None:
    settings = {
        "network": {"channels": 16, "residual_blocks": 1, "grid": 4, "msformer_layers": 1},
        "batch": {"matches": 192, "sizes": [64]},
        "optimiser": {"warm_up": 1},
        "tensorboard": False,
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(settings))
    measured(tmp_path, "--sections", "ceilings", "matching", "streams", "--seconds", "400")
    # A training takes all the time that there is.
    document = measured(tmp_path, "--sections", "--train", "tiny.yaml=1", "--seconds", "16")
    for section in ("ceilings", "matching", "streams", "continuation"):
        assert document[section]
        assert not [entry for entry in document[section].values() if "error" in entry]
    assert document["matching"]["float 200"]["numpy_ms"] > 0
    (trained,) = document["continuation"].values()
    assert trained["iteration"] == trained["iterations"] > 4  # the schedule came to its end
    assert trained["learning_rate"] < 5e-4
    assert (tmp_path / "runs" / "tiny" / "msga_net.safetensors").exists()
    again = measured(tmp_path, "--sections", "ceilings", "matching")
    assert again["ceilings"] == document["ceilings"]
    assert again["matching"] == document["matching"]
    assert set(document["seconds"]) == {"ceilings", "matching", "streams"}


def test_no_time_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):  # nothing was started, nothing is written
        measured(tmp_path, "--sections", "ceilings", "--seconds", "0")


def test_presets_and_learned_features_on_pairs_of_photographs(tmp_path: Path) -> None:
    place = shared_path("data/places/g1_llff_horns")
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "horns").symlink_to(place)
    first, second, *_ = (
        image["file"] for image in json.loads((place / "scene.json").read_text())["images"]
    )
    (tmp_path / "some" / "pairs.txt").write_text(f"g1_llff_horns {first} {second}\n")
    document = measured(tmp_path, "--sections", "learned", "--places", str(tmp_path / "some"))
    assert "errors" not in document
    entries = [*document["presets"].values(), *document.get("learned", {}).values()]
    assert not [entry for entry in entries if "error" in entry]
    rows = document["presets"]["some"]
    for name in ("sift", "balanced"):
        assert rows[name]["pairs"] == 1 and rows[name]["auc20"] > 0
        assert rows[name]["median_ms"]["pair"] > rows[name]["median_ms"]["extract"] > 0
    for name, entry in document.get("learned", {}).items():  # where the extra is installed
        assert entry["keypoints_shared"] == entry["matches_shared"] == 1
        assert entry["keypoints"] > entry["matches"] > 0
        assert ("unseen_ms" in entry) == ("nearest" not in name)
    lines = (tmp_path / "gpu.comparison.jsonl").read_text().splitlines()
    assert {json.loads(line)["method"] for line in lines} >= {"sift", "balanced"}
