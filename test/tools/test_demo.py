"""The demo: figures against a known truth, and the whole of it end to end over DDS."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from msga_ros.datasets.sequences.base import LEFT, RIGHT
from msga_ros.geometry.camera_pose import Pose
from msga_ros.tools import child_environment, demo
from msga_ros.tools.child_processes import Child, parameter_arguments
from msga_ros.tools.demo import DemoOptions, run
from msga_ros.tools.demo_statistics import DemoStatistics, PoseReport
from msga_ros.tools.demo_table import Display, summary_lines
from msga_ros.tools.frame_account import Counters

needs_ros = pytest.mark.skipif(
    bool(child_environment.missing_ros()), reason="needs the built ROS package"
)


def _turn(degrees: float) -> NDArray[np.float64]:
    """Rotation about the vertical axis."""
    return np.asarray(cv2.Rodrigues(np.array([0.0, np.radians(degrees), 0.0]))[0])


def _report(
    rotation_deg: float, translation: list[float], at: float, ok: bool = True
) -> PoseReport:
    return PoseReport(
        reference=(LEFT, 7),
        current=(RIGHT, 7),
        ok=ok,
        status="OK" if ok else "TOO_FEW_MATCHES",
        rotation=_turn(rotation_deg),
        translation=np.array(translation),
        inliers=40,
        inlier_ratio=0.4,
        latency=0.1 * at,
        received=at,
    )


def _statistics() -> DemoStatistics:
    """The right camera 0.2 to the right of the left one and turned by 5 degrees."""
    left = Pose(_turn(30.0), np.array([1.0, 2.0, 3.0]))
    right_in_left, offset = _turn(5.0), np.array([0.2, 0.0, 0.0])
    right = Pose(right_in_left.T @ left.rotation, right_in_left.T @ (left.translation - offset))
    statistics = DemoStatistics(truth={(LEFT, 7): left, (RIGHT, 7): right})
    statistics.frames_sent = 9
    statistics.counters = Counters(
        {"/left/image": 8, "/right/image": 9}, 8, 4, {"superseded": 2, "bad_input": 1}, unwanted=1
    )
    return statistics


def test_errors_are_those_of_the_pose_of_the_current_view_in_the_reference() -> None:
    statistics = _statistics()
    assert statistics.errors(_report(5.0, [3.0, 0.0, 0.0], 1.0)) == pytest.approx((0, 0), abs=1e-5)
    slanted = [1.0, 0.0, math.tan(math.radians(10.0))]
    assert statistics.errors(_report(8.0, slanted, 1.0)) == pytest.approx((3.0, 10.0))
    assert statistics.errors(_report(5.0, [-1.0, 0.0, 0.0], 1.0)) == pytest.approx((0.0, 180.0))
    assert statistics.errors(_report(5.0, [1.0, 0.0, 0.0], 1.0, ok=False)) is None
    statistics.truth.clear()
    assert statistics.errors(_report(5.0, [1.0, 0.0, 0.0], 1.0)) is None


def test_summary_counts_and_takes_medians() -> None:
    statistics = _statistics()
    for at, degrees in ((1.0, 6.0), (2.0, 7.0), (3.0, 9.0)):
        statistics.reports.append(_report(degrees, [1.0, 0.0, 0.0], at))
    statistics.reports.append(_report(90.0, [0.0, 0.0, 0.0], 5.0, ok=False))
    statistics.matched = [100, 100, 120, 90]
    summary = statistics.summary()
    assert (summary.pairs, summary.poses, summary.judged) == (4, 3, 3)
    assert summary.rotation_error == pytest.approx(2.0)
    assert summary.translation_error == pytest.approx(0.0, abs=1e-5)
    assert (summary.matches, summary.inliers) == (100.0, 40.0)
    assert summary.rate == pytest.approx(3 / 4)
    assert summary.latency == pytest.approx(0.25)
    text = "\n".join(summary_lines(summary))
    assert "rotation 2.00°" in text
    assert "4 pairs at 0.8 pairs/s, 3 poses with status OK" in text


def test_summary_says_of_every_frame_what_became_of_it() -> None:
    statistics = _statistics()
    (line, *_) = summary_lines(statistics.summary())
    assert line == (
        "9 frames sent: 4 processed, 3 dropped by the node (superseded 2, bad_input 1), "
        "1 before anybody listened, 1 lost on the way to the node"
    )
    statistics.frames_sent, statistics.counters = 3, Counters({"/image": 3}, 3, 3)
    assert summary_lines(statistics.summary())[0] == "3 frames sent: 3 processed"
    statistics.counters = Counters({"/image": 3}, 3, 2)
    assert summary_lines(statistics.summary())[0].endswith(": 2 processed, 1 unaccounted for")
    statistics.counters = None
    assert "did not say" in summary_lines(statistics.summary())[0]


def test_node_is_done_when_it_says_so_twice_after_the_last_news() -> None:
    statistics = _statistics()
    statistics.diagnostics = [10, 20, 30]
    assert statistics.settled_since(19) and not statistics.settled_since(20)
    statistics.counters = Counters({"/image": 3}, 3, 2)
    assert not statistics.settled_since(19)
    statistics.counters = None
    assert not statistics.settled_since(19)


@pytest.mark.parametrize("terminal", [True, False])
def test_display_shows_the_figures_in_and_out_of_a_terminal(terminal: bool) -> None:
    written = StringIO()
    console = Console(file=written, force_terminal=terminal, width=100)
    with Display(console, "title", 9) as display:
        display.update(DemoStatistics(), "starting", force=True)
        statistics = _statistics()
        statistics.reports.append(_report(6.5, [1.0, 0.0, 0.0], 1.0))
        display.update(statistics, "running", force=True)
    assert "1.50°" in written.getvalue()
    assert "100 ms" in written.getvalue()
    assert "nan" not in written.getvalue()
    assert ("\x1b" in written.getvalue()) == terminal


def test_parameters_reach_a_process_as_they_are() -> None:
    arguments = parameter_arguments({"a.b": True, "n": 3, "r": 2.0, "s": "12", "q": "it's"})
    assert arguments == [
        "--ros-args",
        *("-p", "a.b:=true"),
        *("-p", "n:=3"),
        *("-p", "r:=2.0"),
        *("-p", "s:='12'"),
        *("-p", "q:='it''s'"),
    ]


def test_child_that_ignores_every_request_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = (
        "import signal, time\n"
        "for number in (signal.SIGINT, signal.SIGTERM):\n"
        "    signal.signal(number, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    (tmp_path / "stubborn.py").write_text(stubborn)
    patience = ((signal.SIGINT, 0.2), (signal.SIGTERM, 0.2), (signal.SIGKILL, 10.0))
    monkeypatch.setattr("msga_ros.tools.child_processes._PATIENCE", patience)
    with Child("stubborn", [], tmp_path / "child.log", os.environ) as child:
        limit = time.monotonic() + 30.0
        while "ready" not in child.last_lines():
            assert time.monotonic() < limit
            time.sleep(0.02)
        assert child.exit_code is None
    assert child.exit_code == -signal.SIGKILL


def _run(options: DemoOptions) -> tuple[int, str]:
    written = StringIO()
    code = run(options, Console(file=written, width=200))
    return code, written.getvalue()


def test_without_ros_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rclpy", None)
    code, text = _run(DemoOptions(output=tmp_path))
    assert code == demo.NOT_SET_UP
    assert len(text.strip().splitlines()) == 1
    assert "rclpy" in text
    assert "make setup" in text


@needs_ros
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "/nothing/here"}, "neither"),
        ({"mode": "sideways"}, "stereo, temporal, rgbd"),
    ],
)
def test_what_cannot_be_played_is_said_before_anything_starts(
    tmp_path: Path, options: dict[str, str], message: str
) -> None:
    code, text = _run(DemoOptions(output=tmp_path / "out", **options))
    assert code == demo.BAD_SOURCE
    assert len(text.strip().splitlines()) == 1
    assert message in text
    assert not (tmp_path / "out").exists()


@needs_ros
def test_short_stereo_run_from_end_to_end(tmp_path: Path) -> None:
    options = DemoOptions(frames=3, rate=1.0, keypoints=600, output=tmp_path)
    code, text = _run(options)
    assert code == demo.OK, text
    sent = re.search(r"^(\d+) frames sent: (.*)$", text, re.MULTILINE)
    assert sent and sent[1] == "3", text
    became = {what: int(number) for number, what in re.findall(r"(\d+) ([a-z][a-z ]+)", sent[2])}
    assert sum(became.values()) == 3, text
    # Best-effort images may be lost; the player waits until the node knows who listens.
    assert not became.keys() & {"before anybody listened", "unaccounted for"}, text
    counted = re.search(r"^(\d+) pairs at .* pairs/s, ", text, re.MULTILINE)
    assert counted, text
    pairs = int(counted[1])
    assert 1 <= pairs <= became["processed"]
    judged = re.search(r"\((\d+) poses\): rotation ([\d.]+)°, direction .* ([\d.]+)°", text)
    assert judged, text
    assert 1 <= int(judged[1]) <= pairs
    assert float(judged[2]) < 3.0
    assert float(judged[3]) < 15.0
    assert re.search(r"latency from stamp to pose: median \d+ ms", text)
    before_after = cv2.imread(str(tmp_path / "matches_stereo.png"))
    assert before_after is not None
    assert before_after.shape[0] > 2 * 480
    assert before_after.shape[1] > 2 * 640
    assert cv2.imread(str(tmp_path / "matches_image_stereo.png")) is not None
    for name in ("matches_stereo.png", "matches_image_stereo.png"):
        assert str(tmp_path / name) in text


@needs_ros
def test_black_video_gives_no_pose_and_says_so(tmp_path: Path) -> None:
    video = tmp_path / "black.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 5.0, (160, 120))
    if not writer.isOpened():
        pytest.skip("this OpenCV cannot write videos")
    for _ in range(4):
        writer.write(np.zeros((120, 160, 3), np.uint8))
    writer.release()
    options = DemoOptions(mode="temporal", source=str(video), rate=2.0, output=tmp_path / "out")
    code, text = _run(options)
    assert code == demo.NO_POSE
    last = text.strip().splitlines()[-1]
    assert "no pose was published" in last
    assert "0 features in the image" in last


@needs_ros
def test_node_that_cannot_start_ends_the_demo(tmp_path: Path) -> None:
    missing = tmp_path / "missing.safetensors"
    options = DemoOptions(output=tmp_path, parameters={"network.weights": str(missing)})
    code, text = _run(options)
    assert code == demo.NO_POSE
    last = text.strip().splitlines()[-1]
    assert last.startswith("msga demo: the node")
    assert str(missing) in last


@needs_ros
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_takes_its_processes_with_it(
    tmp_path: Path, number: signal.Signals, domain: int
) -> None:
    program = (
        "import sys, pathlib; from msga_ros.tools.demo import run, DemoOptions;"
        "sys.exit(run(DemoOptions(output=pathlib.Path(sys.argv[1]), domain_id=int(sys.argv[2]))))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), str(domain)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(demo.__file__).parents[2],
    )
    try:
        limit = time.monotonic() + 60.0
        while len(children := _children(process.pid)) < 2:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < limit
            time.sleep(0.05)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == demo.INTERRUPTED, output
    assert "interrupted" in output
    assert "Traceback" not in output
    assert not [child for child in children if _is_running(child)]


def _children(parent: int) -> list[int]:
    """The processes of the demo: python, by the parent's id."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended since
            continue
        if int(fields[1]) == parent:
            found.append(int(status.parent.name))
    return found


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
