"""Exceptions in the node's own code: counted by place, in log and diagnostics, and it goes on."""
# ruff: noqa: E402

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from node.faulty_node import EVERY_MESSAGE
from node.harness import TEMPORAL, NodeProcess
from node.scenes import StereoSequence
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from std_srvs.srv import Trigger

pytestmark = pytest.mark.ros

FAULTY = str(Path(__file__).with_name("faulty_node.py"))
MESSAGES = "errors message callback"


def test_the_node_goes_on_and_says_what_went_wrong(kitti: Path, any_weights: Path) -> None:
    parameters = {
        "mode": "temporal",
        "network.weights": any_weights,
        "frontend.name": "orb",
        "frontend.max_keypoints": 500,
        "publish.diagnostics_period": 0.1,
    }
    sequence = StereoSequence(kitti)
    started = time.monotonic()
    with NodeProcess(TEMPORAL, parameters, command=[FAULTY], raises=True) as run:
        for frame in range(50):
            run.publish(sequence.messages(frame, "left", ""))
            end = time.monotonic() + 0.15
            run.wait_for(lambda end=end: time.monotonic() > end)
        assert len(run.poses) >= 5
        assert stamps_increase(run)

        work, sets = run.fresh_diagnostic("processing"), run.diagnostic("input")
        counted = int(work[MESSAGES])
        received = sum(int(sets[f"received /{name}"]) for name in TEMPORAL)
        assert counted == (received + counted) // EVERY_MESSAGE >= 10
        assert int(work["errors work on a set"]) == int(work["dropped error"]) >= 2
        assert int(work["errors diagnostics timer"]) >= 2
        assert int(work["errors executor"]) >= 8  # outside of everything that is guarded
        assert work["level"] == "2"
        assert re.match(r"unexpected exception in .+: RuntimeError: fault in \w+", work["message"])
        assert int(work["errors"]) == sum(
            int(value) for name, value in work.items() if name.startswith("errors ")
        )

        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.5)
        request = SetParameters.Request(parameters=[Parameter(name="frontend.ratio", value=value)])
        (answer,) = run.call(SetParameters, "/msga/set_parameters", request).results
        assert not answer.successful and "fault in reconfigure" in answer.reason
        asked = GetParameters.Request(names=["frontend.ratio"])
        assert run.call(GetParameters, "/msga/get_parameters", asked).values[0].double_value == 0.95
        assert run.fresh_diagnostic("processing")["errors parameter callback"] == "1"

        answer = run.call(Trigger, "/msga/reset", Trigger.Request())
        assert not answer.success and answer.message == "RuntimeError: fault in reset"
        assert run.fresh_diagnostic("processing")["errors reset service"] == "1"

        off = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
        assert not run.call(ChangeState, "/msga/change_state", off).success
        assert run.fresh_diagnostic("processing")["errors on_deactivate"] == "1"
        assert run.stop() == 0

        log, seconds = run.log(), time.monotonic() - started
        for place in ("message callback", "work on a set", "executor", "on_deactivate"):
            lines = re.findall(
                rf"unexpected exception in {place}: RuntimeError: fault in \w+ "
                r"\(faulty_node\.py:\d+, sometimes_raises\)",
                log,
            )
            assert 1 <= len(lines) <= 1 + seconds / 5.0, place
        assert "more like this before)" in log


def stamps_increase(run: NodeProcess) -> bool:
    stamps = [(one.header.stamp.sec, one.header.stamp.nanosec) for one in run.poses]
    return stamps == sorted(set(stamps))
