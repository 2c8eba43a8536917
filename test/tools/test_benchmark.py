"""`msga bench node`: its figures, and the whole of it over DDS for some seconds."""

from __future__ import annotations

import itertools
import json
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console
from typer.testing import CliRunner

from msga_ros.cli import app
from msga_ros.cli.bench_node import as_document, parse_size, tables, with_parameters
from msga_ros.cli.errors import UsageError
from msga_ros.tools import benchmark
from msga_ros.tools.benchmark import BenchmarkError, BenchmarkOptions, Session
from msga_ros.tools.benchmark_figures import (
    ODOMETRY,
    POSE,
    STAGES,
    OutputFigures,
    Run,
    stage_medians,
)
from msga_ros.tools.benchmark_usage import Usage
from msga_ros.tools.child_environment import missing_ros
from msga_ros.tools.child_processes import Child
from msga_ros.tools.frame_account import Account, Counters
from msga_ros.two_view.presets import preset_path

needs_ros = pytest.mark.skipif(bool(missing_ros()), reason="needs the built ROS package")

PROCESSING = {
    "rate_hz": "9.00",
    "processed": "40",
    "errors": "1",
    "dropped": "8",
    "dropped superseded": "6",
    "dropped error": "1",
    "dropped duplicate": "1",
    "latency_wait_ms": "median 1.0, p99 9.0",
    "latency_extract_ms": "median 20.0, p99 30.0",
    "latency_network_ms": "median 50.5, p99 80.0",
    "latency_total_ms": "median 75.0, p99 99.0",
    "latency_since_stamp_ms": "median 79.0, p99 110.0",
    "last_status": "OK",
}


def test_a_preset_is_measured_as_it_is_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    options = BenchmarkOptions(mode="temporal", weights="msga_net")
    preset = with_parameters(options, preset_path("realtime"), {})
    known = preset.node_parameters
    assert (known["frontend.name"], known["frontend.max_keypoints"]) == ("fast_sift", 2500)
    assert known["frontend.max_matches"] == 500 and known["pose.confidence"] == 0.99
    changed = with_parameters(
        options, preset_path("realtime"), {"frontend.name": "orb", "pose.confidence": 0.9}
    ).node_parameters
    assert (changed["frontend.name"], changed["frontend.max_keypoints"]) == ("orb", 2500)
    assert changed["pose.confidence"] == 0.9
    own = tmp_path / "own.yaml"
    own.write_text("/**: {ros__parameters: {mode: stereo, network: {weights: msga_net_lite}}}")
    decided = with_parameters(options, own, {}).node_parameters
    assert (decided["mode"], decided["network.weights"]) == ("temporal", "msga_net")
    plain = with_parameters(options, None, {})
    assert (plain.frontend, plain.keypoints) == ("orb", 1000)


def test_stages_add_up_to_the_latency() -> None:
    stages = stage_medians(PROCESSING, latency_median_ms=80.0)
    assert stages == {
        "receive": 4.0,
        "wait": 1.0,
        "extract": 20.0,
        "network": 50.5,
        "other": 3.5,
        "return": 1.0,
    }
    assert sum(stages.values()) == pytest.approx(80.0)


def test_the_pose_does_not_wait_for_the_odometry() -> None:
    longer = {
        **PROCESSING,
        "latency_odometry_ms": "median 100.0, p99 120.0",
        "latency_total_ms": "median 175.0, p99 199.0",
        "latency_since_stamp_ms": "median 179.0, p99 210.0",
    }
    stages = stage_medians(longer, latency_median_ms=80.0)
    assert stages == {**stage_medians(PROCESSING, latency_median_ms=80.0), "odometry": 100.0}


def test_what_comes_later_than_two_frames_is_counted() -> None:
    figures = OutputFigures.of([0.02, 0.03, 0.04, 0.21], rate=10.0)
    assert (figures.came, figures.late) == (4, 1)
    assert figures.latency_median_ms == pytest.approx(35.0)
    assert figures.latency_p99_ms == pytest.approx(204.9)
    assert OutputFigures.of([], 10.0).came == 0


def test_sizes() -> None:
    assert parse_size("1280x720") == (1280, 720)
    for text in ("640", "640x", "32x480", "99999x99999", "-640x480"):
        with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
            parse_size(text)


def test_usage_of_a_process_grows_and_that_of_none_is_unknown() -> None:
    here = Usage.of(os.getpid())
    if math.isnan(here.cpu_seconds):
        pytest.skip("no /proc here")
    assert here.cpu_seconds > 0 and here.threads >= 1
    assert here.memory_peak_mb >= 0.99 * here.memory_mb > 1
    assert math.isnan(Usage.of(2**22 + 1).cpu_seconds)


def test_what_is_unknown_is_null_in_json_and_a_dash_in_the_table() -> None:
    account = Account(3, 0, 0, {"lost_on_the_way": 3}, 0)
    nan = math.nan
    run = Run(
        640, 480, 10.0, 1.0, account, 3.0, nan, nan, nan, {"other": nan, "return": nan}, 0,
        nan, nan, 0.1, nan, nan, nan, 0, nan, nan,
    )  # fmt: skip
    document = json.loads(json.dumps(as_document(BenchmarkOptions(), [run]), allow_nan=False))
    assert document["runs"][0]["latency_median_ms"] is None
    console = Console(record=True, width=100, file=open(os.devnull, "w"))  # noqa: SIM115
    for table in tables(BenchmarkOptions(), [run]):
        console.print(table)
    text = console.export_text()
    assert "nan" not in text and "lost_on_the_way" in text


class FakeLink:
    """A node whose poses come soon and whose odometry comes `later` frames after them."""

    connected = True
    problem = ""
    counters = Counters()

    def __init__(self, later: int) -> None:
        self.arrivals: dict[str, list[int]] = {POSE: [], ODOMETRY: []}
        self.poses = self.arrivals[POSE]
        self.sent = 0
        self._later = later

    @property
    def diagnostics(self) -> int:
        return int(1000 * time.monotonic())  # there are always new ones

    def values(self, part: str) -> dict[str, str]:
        return {}

    def send(self, frame: object) -> None:
        self.sent += 1

    def spin(self, seconds: float) -> None:
        if len(self.poses) < self.sent:
            self.poses.append(self.sent)
            if self.sent >= self._later:
                self.arrivals[ODOMETRY].append(self.sent)
        time.sleep(1e-3)


def warmed_up(link: FakeLink) -> FakeLink:
    node = cast(Child, SimpleNamespace(pid=os.getpid(), exit_code=None))
    frames = cast(Iterator[Mapping[str, object]], itertools.repeat({}))
    begun, interrupted = time.monotonic(), threading.Event()
    Session(cast(Any, link), link.spin, node, frames, interrupted, begun).warm_up()
    return link


def test_a_node_is_warm_once_each_output_has_come() -> None:
    assert warmed_up(FakeLink(later=1)).sent == 5
    assert warmed_up(FakeLink(later=9)).sent == 9


def test_an_output_that_never_comes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "_START_LIMIT", 0.05)
    with pytest.raises(BenchmarkError, match="no odometry in 0 s: no complaint"):
        warmed_up(FakeLink(later=10**9))


def test_a_wrong_size_and_a_missing_checkpoint_are_one_clear_line() -> None:
    for arguments, part in (
        (["--size", "big"], "WIDTHxHEIGHT"),
        (["--listen", "markers"], "no output 'markers'"),
        (["--mode", "temporal", "--listen", "odometry"], "mode temporal has no odometry"),
        (["--weights", "/nowhere/net.safetensors"], "/nowhere/net.safetensors"),
        (["--json", "/nowhere/figures.json"], "/nowhere"),
    ):
        result = CliRunner().invoke(app, ["bench", "node", *arguments])
        assert result.exit_code == 2
        (line,) = result.output.splitlines()
        assert line.startswith("msga: ") and part in line


@needs_ros
@pytest.mark.ros
@pytest.mark.parametrize("mode", ["stereo", "temporal"])
def test_bench_node_end_to_end(mode: str, any_weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    arguments = ["--mode", mode, "--size", "320x240", "--seconds", "3", "--rate", "5"]
    listened = ["correspondences", *(["odometry"] if mode == "stereo" else [])]
    arguments += [word for name in listened for word in ("--listen", name)]
    arguments += ["--keypoints", "300", "--weights", str(any_weights), "--json", str(path)]
    result = CliRunner().invoke(app, ["bench", "node", *arguments])
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(path.read_text())
    (run,) = document["runs"]
    account = run["account"]
    assert account["sent"] == 15
    assert account["processed"] + sum(account["dropped"].values()) == account["sent"]
    assert account["unaccounted"] == 0
    assert account["processed"] > 0
    assert account["poses"] == account["processed"]  # poses are reliable
    assert set(run["outputs"]) == {"relative_pose", *listened}
    for output in run["outputs"].values():
        assert output["came"] == account["processed"]
        assert output["latency_p99_ms"] >= output["latency_median_ms"] > 0
    assert (run["width"], run["height"]) == (320, 240)
    # Importing torch alone takes it longer than that.
    assert run["start_seconds"] > 0.5 and run["start_cpu_seconds"] > 0.5
    assert set(STAGES) <= set(run["stages"]) and "return" in run["stages"]
    assert ("odometry" in run["stages"]) is (mode == "stereo")
    assert document["options"]["mode"] == mode and document["machine"]["cores"] >= 1
    for text in ("stamp to pose, median ms", "where the frames went", "unaccounted", "network"):
        assert text in result.output


@needs_ros
@pytest.mark.ros
def test_a_node_that_cannot_start_is_one_clear_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    result = CliRunner().invoke(
        app, ["bench", "node", "--size", "320x240", "--weights", str(broken)]
    )
    assert result.exit_code == 2
    assert str(broken) in result.output.splitlines()[-1]
