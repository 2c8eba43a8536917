"""RViz starts in the frame that the images are in; its program is a stand-in that tells."""
# ruff: noqa: E402

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from node.harness import STEREO, NodeProcess
from node.scenes import StereoSequence

from msga_ros.tools.rviz import main

pytestmark = pytest.mark.ros


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Writes its arguments to a file beside it."""
    path = tmp_path / "rviz2"
    path.write_text('#!/bin/sh\necho "$@" > "$0.arguments"\n')
    path.chmod(0o755)
    return path


def command(program: Path, *arguments: str) -> list[str]:
    tail = ["--", str(program), "-d", "some.rviz", "--ros-args", "-r", "__node:=msga_rviz"]
    return [sys.executable, "-m", "msga_ros.tools.rviz", *arguments, *tail]


@pytest.mark.parametrize(("tf", "frame"), [(False, "right_optical"), (True, "msga_odom")])
def test_the_frame_is_that_of_the_outputs(
    tf: bool, frame: str, program: Path, kitti: Path, trained_weights: Path
) -> None:
    sequence = StereoSequence(kitti)
    parameters = {
        "rectified": True,
        "network.weights": trained_weights,
        "frontend.max_keypoints": 500,
        "publish.tf": tf,
    }
    with NodeProcess(STEREO, parameters) as run:
        rviz = subprocess.Popen(command(program, "--patience", "120"), env=run.environment)
        frames = iter(range(0, 10**6))

        def ended() -> bool:
            n = next(frames)
            run.publish(sequence.stereo(0, sequence.start_ns + n * 10**8))
            return rviz.poll() is not None

        run.wait_for(ended, 60.0)
    assert rviz.returncode == 0
    given = program.with_suffix(".arguments").read_text().split()
    assert given == ["-d", "some.rviz", "-f", frame, "--ros-args", "-r", "__node:=msga_rviz"]


def test_a_frame_that_is_given_is_not_waited_for(program: Path) -> None:
    subprocess.run(command(program, "--frame", "map"), check=True)
    assert "-f map" in program.with_suffix(".arguments").read_text()


def test_rviz_starts_in_any_case(program: Path) -> None:
    done = subprocess.run(
        command(program, "--node", "/nobody", "--patience", "0.1"),
        check=True,
        capture_output=True,
        text=True,
    )
    assert "no output of /nobody" in done.stderr
    assert "-f" not in program.with_suffix(".arguments").read_text().split()


def test_it_can_be_interrupted_while_it_waits(program: Path) -> None:
    waiting = subprocess.Popen(
        command(program, "--node", "/nobody", "--patience", "600"),
        # Where the tests run in the background of a script, the shell has them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    waiting.send_signal(signal.SIGINT)  # before or after rclpy has its own handler
    waiting.wait(60)
    assert not program.with_suffix(".arguments").exists()


def test_a_program_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--frame", "map", "--", str(tmp_path / "none")]) == 1
    assert "none: No such file" in capsys.readouterr().err
