"""The managed node: transitions, faults at start, silence, signals. Each in its own process."""
# ruff: noqa: E402

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from node.harness import REPOSITORY, STEREO, TEMPORAL, NodeProcess
from node.scenes import StereoSequence

pytestmark = pytest.mark.ros

QUICK = {"frontend.name": "orb", "frontend.max_keypoints": 500, "publish.diagnostics_period": 0.2}


def change(run: NodeProcess, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(run.call(ChangeState, "/msga/change_state", request).success)


def state(run: NodeProcess) -> str:
    answer = run.call(GetState, "/msga/get_state", GetState.Request())
    return str(answer.current_state.label)


def test_checkpoint_missing_then_corrupt_then_mended(
    tmp_path: Path, kitti: Path, any_weights: Path
) -> None:
    path = tmp_path / "model.safetensors"
    with NodeProcess(
        STEREO, {**QUICK, "network.weights": path}, wait_for_state="unconfigured"
    ) as run:
        run.wait_for(lambda: run.diagnostic("model").get("level") == "2", what="diagnostic ERROR")
        assert str(path) in run.diagnostic("model")["message"]
        assert f"cannot configure: {path}" in run.log()

        whole = any_weights.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        assert not change(run, Transition.TRANSITION_CONFIGURE)
        assert state(run) == "unconfigured"
        # A transition that is not possible now is refused; the node goes on.
        assert not change(run, Transition.TRANSITION_ACTIVATE)
        assert state(run) == "unconfigured"

        shutil.copy(any_weights, path)
        assert change(run, Transition.TRANSITION_CONFIGURE)
        assert state(run) == "inactive"
        assert change(run, Transition.TRANSITION_ACTIVATE)
        run.wait_state("active")
        assert run.diagnostic("model")["level"] == "0"
        run.wait_connected()
        sequence = StereoSequence(kitti)
        run.feed(sequence.stereo(0), lambda: run.pose_of(sequence.stamp(0)))

        # Deactivated, it takes no frame; active again, it does; cleaned up, it can begin anew.
        assert change(run, Transition.TRANSITION_DEACTIVATE)
        received = run.fresh_diagnostic("input")["received /left/image"]
        run.wait_for(lambda: run.subscribers("left/image") == 0, what="end of the subscription")
        run.publish(sequence.stereo(1))
        assert change(run, Transition.TRANSITION_ACTIVATE)
        run.wait_connected()
        assert run.fresh_diagnostic("input")["received /left/image"] == received
        run.feed(sequence.stereo(2), lambda: run.pose_of(sequence.stamp(2)))
        for transition in (
            Transition.TRANSITION_DEACTIVATE,
            Transition.TRANSITION_CLEANUP,
            Transition.TRANSITION_CONFIGURE,
            Transition.TRANSITION_ACTIVATE,
        ):
            assert change(run, transition)
        run.wait_connected()
        run.feed(sequence.stereo(3), lambda: run.pose_of(sequence.stamp(3)))
        assert change(run, Transition.TRANSITION_ACTIVE_SHUTDOWN)
        assert state(run) == "finalized"
        assert run.stop(signal.SIGINT) == 0
        assert "Traceback" not in run.log()


def test_waits_to_be_started_and_says_what_is_silent(kitti: Path, any_weights: Path) -> None:
    parameters = {
        **QUICK,
        "autostart": False,
        "network.weights": any_weights,
        "network.device": "cuda:7",  # absent nearly everywhere
        "publish.no_input_warning": 1.0,
    }
    with NodeProcess(STEREO, parameters, wait_for_state="unconfigured") as run:
        assert run.diagnostic("model")["level"] == "0"
        assert change(run, Transition.TRANSITION_CONFIGURE)
        assert change(run, Transition.TRANSITION_ACTIVATE)
        run.wait_state("active")
        run.wait_connected()
        assert run.diagnostic("model")["level"] == "1"
        assert "network.device is 'cuda:7'" in run.diagnostic("model")["message"]
        assert "network.device is 'cuda:7'" in run.log()

        sequence = StereoSequence(kitti)
        one_side = sequence.messages(0, "left", "left/")
        arrived = r"/left/image: [1-9]\d* received, newest stamp \d+\.\d{9}; "
        run.feed(one_side, lambda: re.search(arrived, run.log()), timeout=30.0)
        log = run.log()
        assert "no complete set of messages for" in log
        assert "/right/image: 0 received; we ask for best_effort/volatile; " in log
        assert "/fixture offers best_effort/volatile" in log
        run.wait_for(lambda: "no complete set" in run.diagnostic("input")["message"])
        other_side = sequence.messages(0, "right", "right/", sequence.stamp(0) + 5_000_000)
        run.feed(other_side, lambda: "stamps do not agree: see sync.slop" in run.log(), 30.0)
        run.feed(sequence.stereo(1), lambda: run.pose_of(sequence.stamp(1)))
        run.wait_for(lambda: run.diagnostic("input")["level"] == "0")
        assert run.stop(signal.SIGINT) == 0


def test_qos_of_the_inputs_can_be_overridden(kitti: Path, any_weights: Path) -> None:
    parameters = {
        **QUICK,
        "mode": "temporal",
        "network.weights": any_weights,
        "qos_overrides./image.subscription.reliability": "reliable",
        "publish.no_input_warning": 1.0,
    }
    with NodeProcess(TEMPORAL, parameters, connect=False) as run:
        expected = "/image: 0 received; we ask for reliable/volatile; /fixture offers best_effort"
        run.wait_for(lambda: expected in run.log(), what="warning")
        assert "(incompatible)" in run.log()
        assert run.stop() == 0


def test_qos_override_that_cannot_be_leaves_it_inactive(any_weights: Path) -> None:
    parameters = {
        **QUICK,
        "network.weights": any_weights,
        "qos_overrides./left/image.subscription.reliability": "fairly",
        "frontend.ratoi": 0.8,
    }
    with NodeProcess(STEREO, parameters, wait_for_state="inactive") as run:
        run.wait_for(lambda: run.diagnostic("model")["level"] == "2")
        assert "cannot activate" in run.log() and "fairly" in run.log()
        assert "no parameter frontend.ratoi; frontend.ratio is meant?" in run.log()
        assert run.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-p", "mode:=mono"], "mode must be one of stereo, temporal, rgbd, not 'mono'"),
        (["-p", "sync.slop:=1"], "sync.slop is a double (a number with a decimal point), not 1"),
        (["-p", "frontend.ratio:=2.0"], "frontend.ratio"),
    ],
)
def test_parameters_that_cannot_be_end_it_with_a_reason(
    arguments: list[str], complaint: str
) -> None:
    environment = {
        **os.environ,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-m", "msga_ros.node", "--ros-args", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_node_whose_model_is_never_ready(number: signal.Signals) -> None:
    command = [str(REPOSITORY / "test" / "node" / "endless_node.py")]
    with NodeProcess(TEMPORAL, {"mode": "temporal"}, command=command, wait_for_state=None) as run:
        run.wait_for(lambda: "configure has begun" in run.log(), timeout=60.0)
        assert run.stop(number, timeout=60.0) == 0
        assert "Traceback" not in run.log()
