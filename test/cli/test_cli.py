"""The command line: results, files, and one clear line for each mistake of a user."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from shared_data import shared_path
from synthetic_dump import random_network, synthetic_pair, write_dump
from typer.testing import CliRunner

from msga_ros import __version__
from msga_ros.cli import COMMANDS, app, load
from msga_ros.cli.eval import Grouping
from msga_ros.evaluation.tables import GROUPINGS

FOUNTAIN = "data/scenes/strecha_fountain_p11/images"


@dataclass(frozen=True)
class Outcome:
    """Exit code of a command, and what it wrote to standard output and error together."""

    exit_code: int
    output: str


def msga(*arguments: object) -> Outcome:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return Outcome(result.exit_code, result.output)


def run_python(*arguments: str) -> str:
    command, root = [sys.executable, *arguments], Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


def assert_one_clear_line(result: Outcome, *parts: str) -> None:
    assert result.exit_code == 2, result.output
    (line,) = result.output.splitlines()
    assert line.startswith("msga: ")
    for part in parts:
        assert part in line


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_network(tmp_path_factory.mktemp("weights") / "random.safetensors")


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dumps") / "synthetic.h5"
    return write_dump(path, [synthetic_pair(seed) for seed in (1, 2, 3)])


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two views, 320x240, of a textured plane at an angle: enough to match."""
    folder = tmp_path_factory.mktemp("images")
    noise = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    texture = cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)
    homography = np.array([[0.95, 0.02, 12.0], [-0.01, 0.97, 3.0], [1e-4, 5e-5, 1.0]])
    paths = (folder / "a.png", folder / "b.png")
    cv2.imwrite(str(paths[0]), texture)
    cv2.imwrite(str(paths[1]), cv2.warpPerspective(texture, homography, (320, 240)))
    return paths


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with which even an untrained network lets a pair through to PoseLib."""
    path = tmp_path_factory.mktemp("config") / "lenient.yaml"
    groups = {
        "frontend": {"ratio": 0.8},
        "network": {"inlier_threshold": 1e6, "device": "cpu"},
        "pose": {"refine": "poselib"},
    }
    path.write_text(yaml.safe_dump(groups))
    return path


def test_help_names_the_commands_without_heavy_imports() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from msga_ros.cli import app;"
        "result = CliRunner().invoke(app, ['--help']);"
        "print(result.output);"
        "print(sorted({'torch', 'cv2', 'h5py', 'rclpy', 'numpy'} & set(sys.modules)))"
    )
    printed = run_python("-c", code)
    assert " match " in printed
    assert " eval " in printed
    assert printed.splitlines()[-1] == "[]"


def test_version_and_module() -> None:
    assert msga("--version").output.strip() == f"msga_ros {__version__}"
    printed = run_python("-m", "msga_ros.cli", "--version")
    assert printed.strip() == f"msga_ros {__version__}"


def test_the_groupings_of_the_command_are_those_of_the_table() -> None:
    assert tuple(grouping.value for grouping in Grouping) == GROUPINGS


def test_eval_prints_a_table_and_writes_the_published_keys(
    dump: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "rows.json"
    result = msga("eval", dump, "--weights", weights, "--json", out, "--device", "cpu")
    assert result.exit_code == 0, result.output
    rows = json.loads(out.read_text())
    # The default estimators, all on the same three pairs.
    names = ["msga", "msga+poselib", "ratio+magsac", "ratio+poselib"]
    assert [row["estimator"] for row in rows] == names
    for row in rows:
        assert list(row) == [
            *("dump", "estimator", "weights", "pairs"),
            *("auc5", "auc10", "auc20", "map5", "map10", "map20"),
            *("precision", "recall", "f", "ms_per_pair", "peak_mb", "peak_device_mb"),
        ]
        assert row["pairs"] == 3
        assert row["estimator"] in result.output
    by_name = {row["estimator"]: row for row in rows}
    assert by_name["ratio+poselib"]["map5"] == 100.0
    assert f"{by_name['ratio+poselib']['auc5']:.1f}/" in result.output
    assert by_name["msga"]["weights"] == str(weights)
    assert by_name["ratio+poselib"]["weights"] == ""


def test_eval_adds_rows_by_scene_and_keeps_records(dump: Path, tmp_path: Path) -> None:
    records, out = tmp_path / "records.jsonl", tmp_path / "rows.json"
    command = ("eval", dump, "-e", "ratio+poselib", "--by", "scene", "--intervals")
    for _ in range(2):
        result = msga(*command, "--records", records, "--json", out)
        assert result.exit_code == 0, result.output
    assert len(records.read_text().splitlines()) == 3  # the second run computed nothing
    rows = json.loads(out.read_text())
    assert [(row.get("group"), row["pairs"]) for row in rows] == [
        (None, 3),
        ("scene1", 2),
        ("scene0", 1),
    ]
    assert "scene0" in result.output
    assert len(rows[0]["auc5_interval"]) == 2


def test_eval_seed_reaches_the_robust_estimators(dump: Path, tmp_path: Path) -> None:
    errors = []
    for seed in (0, 1):
        records = tmp_path / f"{seed}.jsonl"
        command = ("eval", dump, "-e", "ratio+magsac", "--seed", seed, "--records", records)
        assert msga(*command).exit_code == 0
        lines = records.read_text().splitlines()
        errors.append([json.loads(line)["rotation_error"] for line in lines])
    assert errors[0] != errors[1]


def test_eval_settings_reach_the_estimators(dump: Path, weights: Path, tmp_path: Path) -> None:
    areas = []
    for threshold in ("1.0", "1e2"):
        out = tmp_path / f"{threshold}.json"
        setting = f"pose.threshold_px={threshold}"
        result = msga("eval", dump, "-e", "ratio+poselib", "--set", setting, "--json", out)
        assert result.exit_code == 0, result.output
        areas.append(json.loads(out.read_text())[0]["auc5"])
    assert areas[1] < areas[0]  # 100 pixels let wrong matches in
    # With a ratio that no match passes, the network sees nothing.
    blind = msga("eval", dump, "-e", "msga", "-w", weights, "--set", "frontend.ratio=0.1")
    assert "3 failed" in blind.output
    for setting, part in (
        ("frontend.ratio", "NAME=VALUE"),
        ("frontend.colour=1", "frontend.colour"),
        ("frontend.ratio=big", "frontend.ratio"),
        ("frontend.ratio=[", "not readable"),
    ):
        assert_one_clear_line(msga("eval", dump, "-e", "ratio+poselib", "--set", setting), part)


def test_eval_errors_are_one_line(dump: Path, weights: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_text("no dump")
    missing = tmp_path / "none.h5"
    assert_one_clear_line(msga("eval", missing), "dump not found", str(missing))
    assert_one_clear_line(msga("eval", broken, "-e", "ratio+poselib"), str(broken))
    assert_one_clear_line(msga("eval", dump, "-e", "magic"), "magic", "ratio+poselib")
    assert_one_clear_line(msga("eval", dump, "-w", missing), "checkpoint not found", str(missing))
    assert_one_clear_line(msga("eval", dump, "-w", dump), str(dump))
    assert_one_clear_line(
        msga("eval", dump, "-w", weights, "-e", "msga", "--device", "tpu"), "network.device", "tpu"
    )
    elsewhere = tmp_path / "no" / "rows.json"
    assert_one_clear_line(msga("eval", dump, "--json", elsewhere), str(elsewhere.parent))
    assert_one_clear_line(msga("eval", dump, "--config", missing), str(missing))


def test_match_writes_a_picture_and_prints_the_pose(
    images: tuple[Path, Path], weights: Path, lenient: Path, tmp_path: Path
) -> None:
    picture, out = tmp_path / "matches.png", tmp_path / "pose.json"
    result = msga(
        *("match", *images, "--fov", 60, "--weights", weights, "--config", lenient),
        *("--output", picture, "--json", out),
    )
    assert result.exit_code == 0, result.output
    drawn = cv2.imread(str(picture))
    assert drawn.shape[0] >= 240
    assert drawn.shape[1] >= 640
    pose = json.loads(out.read_text())
    rotation, translation = np.array(pose["rotation"]), np.array(pose["translation"])
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
    assert np.linalg.norm(translation) == pytest.approx(1.0)
    assert f"{rotation[0, 0]:.6f}" in result.output
    assert f"{translation[2]:.6f}" in result.output
    assert pose["inliers"] >= 12


def test_match_of_a_real_pair_knows_its_camera_and_its_error(
    weights: Path, lenient: Path, tmp_path: Path
) -> None:
    folder, out = shared_path(FOUNTAIN), tmp_path / "pose.json"
    result = msga(
        *("match", folder / "0003.jpg", folder / "0004.jpg"),
        *("-w", weights, "--config", lenient, "-o", tmp_path / "m.jpg", "--json", out),
    )
    assert result.exit_code == 0, result.output
    pose = json.loads(out.read_text())
    assert pose["rotation_error_deg"] < 1.0
    assert pose["translation_error_deg"] < 2.0


def test_match_says_whose_pose_it_is(tmp_path: Path) -> None:
    folder, out = shared_path(FOUNTAIN), tmp_path / "pose.json"
    poor = ("--frontend", "orb", "--set", "frontend.max_keypoints=40", "--set", "sieve.name=none")
    second = ("second_frontend.name=sift", "second_frontend.sieve=none")
    more = ("-o", tmp_path / "m.jpg", "--json", out)

    def matched(*settings: str) -> tuple[int, str]:
        extra = [part for one in settings for part in ("--set", one)]
        result = msga("match", folder / "0003.jpg", folder / "0005.jpg", *poor, *extra, *more)
        return result.exit_code, " ".join(result.output.split())

    code, text = matched()
    assert code == 1 and "front end orb" in text
    code, text = matched(*second)
    assert code == 0 and "front end sift; orb had no pose" in text and "second " in text
    pose = json.loads(out.read_text())
    assert (pose["frontend"], pose["second_asked"]) == ("sift", True)
    assert max(pose["rotation_error_deg"], pose["translation_error_deg"]) < 2.0
    code, text = matched(*second, "second_frontend.max_keypoints=8")
    assert code == 1 and "front end orb; sift, the second one, has no pose either" in text


def test_match_without_a_pose_says_so_and_exits_with_one(
    images: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    black, picture = tmp_path / "black.png", tmp_path / "matches.png"
    cv2.imwrite(str(black), np.zeros((240, 320), np.uint8))
    out = tmp_path / "pose.json"
    result = msga(
        *("match", images[0], black, "--fov", 60, "-w", weights, "-o", picture, "--json", out)
    )
    assert result.exit_code == 1, result.output
    assert "TOO FEW MATCHES" in result.output
    assert picture.is_file()
    assert json.loads(out.read_text())["rotation"] is None


def test_match_errors_are_one_line(images: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = images
    text = tmp_path / "text.png"
    text.write_text("no image")
    empty = tmp_path / "empty.png"
    empty.touch()
    output = ("-o", tmp_path / "m.png")
    fov = ("--fov", 60)
    missing = tmp_path / "none.png"
    assert_one_clear_line(msga("match", missing, second, *fov), "image not found", str(missing))
    assert_one_clear_line(msga("match", tmp_path, second, *fov, *output), "not a file")
    assert_one_clear_line(msga("match", first, text, *fov, *output), "not a readable image")
    assert_one_clear_line(msga("match", first, empty, *fov, *output), "not a readable image")
    assert_one_clear_line(msga("match", first, second, *output), "no camera", "--camera", "--fov")
    assert_one_clear_line(msga("match", first, second, *output, "--fov", 190), "field of view")
    assert_one_clear_line(msga("match", first, second, *fov, "-o", tmp_path / "m.xyz"), "format")
    assert_one_clear_line(msga("match", first, second, *fov, "-o", tmp_path / "no" / "m.png"), "no")
    assert_one_clear_line(
        msga("match", first, second, *fov, *output, "--camera", "1,1,1,1"), "both"
    )
    assert_one_clear_line(msga("match", first, second, *fov, *output, "--refine", "magic"), "magic")
    assert_one_clear_line(msga("match", first, second, *fov, *output, "-w", missing), str(missing))


def test_match_names_an_unknown_front_end(
    images: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    arguments = ("match", *images, "--fov", 60, "-w", weights, "-o", tmp_path / "m.png")
    assert_one_clear_line(msga(*arguments, "--frontend", "magic"), "magic", "sift")


@pytest.fixture
def training(dump: Path, tmp_path: Path) -> Path:
    path = tmp_path / "train.yaml"
    groups = {
        "output": str(tmp_path / "run"),
        "network": {"channels": 16, "grid": 4, "residual_blocks": 1, "msformer_layers": 1},
        "batch": {"dumps": [str(dump)], "matches": 256, "sizes": [128]},
        "optimiser": {"iterations": 3},
    }
    path.write_text(yaml.safe_dump(groups))
    return path


def test_train_writes_weights_that_eval_reads(dump: Path, training: Path, tmp_path: Path) -> None:
    result = msga("train", training, "--accelerator", "cpu")
    assert result.exit_code == 0, result.output
    weights = tmp_path / "run" / "msga_net.safetensors"
    assert str(weights) in result.output
    assert msga("eval", dump, "-e", "msga", "-w", weights).exit_code == 0


def test_train_errors_are_one_line(training: Path, tmp_path: Path) -> None:
    assert_one_clear_line(msga("train", tmp_path / "none.yaml"), "configuration not found")
    groups = yaml.safe_load(training.read_text())
    for change, part in (
        ({"speed": 1}, "speed"),
        ({"network": {"channels": 3}}, "channels"),
        ({"batch": {"dumps": ["nowhere.h5"]}}, "nowhere.h5"),
    ):
        training.write_text(yaml.safe_dump({**groups, **change}))
        assert_one_clear_line(msga("train", training), part)


def test_demo_errors_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert_one_clear_line(msga("demo", "-o", file), "not a folder", str(file))
    assert_one_clear_line(msga("demo", "-p", "frontend.name"), "NAME=VALUE")


def test_demo_without_ros_or_source_exits_with_two(tmp_path: Path) -> None:
    result = msga("demo", "--source", tmp_path / "nowhere", "-o", tmp_path / "out")
    assert result.exit_code == 2, result.output
    assert "msga demo: " in result.output
    assert len(result.output.splitlines()) == 1


def test_bench_measures_each_number_of_matches(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    result = msga(
        *("bench", "network", "-n", 64, "-n", 1024, "--repeats", 3, "-w", weights),
        *("--device", "cpu", "--threads", 1, "--json", out),
    )
    assert result.exit_code == 0, result.output
    small, large = json.loads(out.read_text())
    assert (small["matches"], large["matches"], small["threads"]) == (64, 1024, 1)
    for row in (small, large):
        assert 0 < row["median_ms"] <= row["p90_ms"]
    assert "1024" in result.output
    assert_one_clear_line(msga("bench", "network", "-w", tmp_path / "none"), "checkpoint not found")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_list_of_commands_says_what_their_own_help_says(name: str) -> None:
    own = " ".join((load(name).help or "").split("\n\n")[0].split())
    assert own == COMMANDS[name]


def test_an_unknown_command_is_named(tmp_path: Path) -> None:
    result = msga("mtach")
    assert result.exit_code == 2
    assert "mtach" in result.output
