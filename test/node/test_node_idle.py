"""The node works while somebody listens, and only then: over DDS, in its own process."""
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from msga_ros.msg import RelativePose
from nav_msgs.msg import Odometry
from node.harness import STEREO, TEMPORAL, NodeProcess, stamp_ns
from node.scenes import StereoSequence
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile

pytestmark = pytest.mark.ros

POSE = "/msga/relative_pose"
IDLE = "idle: no subscriber"
QUICK = {
    "frontend.name": "orb",
    "frontend.max_keypoints": 500,
    "publish.diagnostics_period": 0.1,
    # Each frame arrives, and once: the frames are counted.
    **{f"qos_overrides./{name}.subscription.reliability": "reliable" for name in STEREO + TEMPORAL},
}
RELIABLE = QoSProfile(depth=10)


@pytest.fixture(scope="module")
def sequence(kitti: Path) -> StereoSequence:
    return StereoSequence(kitti)


class Player:
    """Sends the frames of a sequence, one after the other, to a node that nobody listens to."""

    def __init__(self, run: NodeProcess, sequence: StereoSequence) -> None:
        self.run = run
        self._sequence = sequence
        self._stereo = "left/image" in run.inputs
        self._next = 0

    def send(self) -> int:
        """One frame; its stamp, once the node is done with it."""
        frame, self._next = self._next, self._next + 1
        messages = (
            self._sequence.stereo(frame)
            if self._stereo
            else self._sequence.messages(frame, "left", "")
        )
        sets = self.count("input", "complete_sets")
        self.run.publish(messages)
        self.run.wait_for(
            lambda: self.count("input", "complete_sets") > sets and self.accounted(),
            what=f"end of frame {frame}",
        )
        return self._sequence.stamp(frame)

    def count(self, part: str, name: str) -> int:
        return int(self.run.diagnostic(part).get(name, 0))

    def accounted(self) -> bool:
        """Every complete set is processed, dropped for a reason, or came while nobody listened."""
        sets, work = self.run.diagnostic("input"), self.run.diagnostic("processing")
        done = sum(int(work[name]) for name in ("processed", "idle"))
        refused = sum(int(work.get(f"dropped {why}", 0)) for why in ("duplicate", "out_of_order"))
        return int(sets["complete_sets"]) == done + int(work["dropped"]) - refused

    def wait_idle(self, idle: bool) -> None:
        self.run.wait_for(
            lambda: (self.run.diagnostic("processing")["message"] == IDLE) is idle,
            what="idle" if idle else "awake",
        )

    def pose(self, frames: int) -> RelativePose:
        """The first pose, which has to come of one of the next `frames`."""
        before = len(self.run.poses)
        stamps = [self.send() for _ in range(frames)]
        self.run.wait_for(lambda: len(self.run.poses) > before, what="the first pose")
        first = self.run.poses[before]
        assert stamp_ns(first.header) == stamps[-1]
        return first


@pytest.fixture
def temporal(sequence: StereoSequence, any_weights: Path) -> Iterator[Player]:
    parameters = {**QUICK, "mode": "temporal", "network.weights": any_weights}
    with NodeProcess(TEMPORAL, parameters, listen=False, input_qos=RELIABLE) as run:
        yield Player(run, sequence)


def test_nothing_is_computed_until_somebody_listens(temporal: Player) -> None:
    run = temporal.run
    temporal.wait_idle(True)
    for _ in range(4):
        temporal.send()
    work = run.fresh_diagnostic("processing")
    assert (work["message"], work["level"]) == (IDLE, "0")
    assert (work["idle"], work["processed"], work["dropped"]) == ("4", "0", "0")
    assert not [name for name in work if name.startswith("latency")]
    assert run.diagnostic("input")["level"] == "0"

    run.listen(RelativePose, POSE)
    temporal.wait_idle(False)
    pose = temporal.pose(2)
    run.wait_for(lambda: temporal.count("processing", "processed") == 2)
    run.wait_for(temporal.accounted)

    # The frame before the pause is not what the first frame after it is compared with.
    run.stop_listening(POSE)
    temporal.wait_idle(True)
    passed_by = temporal.send()
    run.listen(RelativePose, POSE)
    temporal.wait_idle(False)
    again = temporal.pose(2)
    assert stamp_ns(pose.header) < passed_by < stamp_ns(again.reference_header)
    run.wait_for(lambda: temporal.count("processing", "processed") == 4)
    assert temporal.count("processing", "idle") == 5
    run.wait_for(temporal.accounted)
    assert run.stop() == 0


def test_a_parameter_makes_it_run_always(temporal: Player) -> None:
    temporal.send()
    assert temporal.count("processing", "processed") == 0
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="always")
    request = SetParameters.Request(parameters=[Parameter(name="run", value=value)])
    (answer,) = temporal.run.call(SetParameters, "/msga/set_parameters", request).results
    assert answer.successful
    temporal.wait_idle(False)
    for _ in range(3):
        temporal.send()
    temporal.run.wait_for(lambda: temporal.count("processing", "processed") == 3)
    assert "latency_extract_ms" in temporal.run.diagnostic("processing")
    temporal.run.wait_for(temporal.accounted)


def test_a_stereo_pair_answers_the_first_listener(
    sequence: StereoSequence, any_weights: Path
) -> None:
    parameters = {**QUICK, "network.weights": any_weights}
    with NodeProcess(STEREO, parameters, listen=False, input_qos=RELIABLE) as run:
        player = Player(run, sequence)
        run.listen(RelativePose, POSE)
        player.wait_idle(False)
        player.pose(1)
        run.stop_listening(POSE)
        player.wait_idle(True)
        run.listen(Odometry, "/msga/odometry")
        player.wait_idle(False)  # the odometry is an output like the others
        player.send()
        run.wait_for(lambda: run.diagnostic("odometry")["running"] == "True")
        run.stop_listening("/msga/odometry")
        player.wait_idle(True)
        player.send()
        odometry = run.fresh_diagnostic("odometry")
        assert (odometry["running"], odometry["message"]) == ("False", "no subscriber")
        assert player.count("processing", "idle") == 1
        # The way between is not known: the trajectory begins anew.
        run.listen(Odometry, "/msga/odometry")
        player.wait_idle(False)
        player.send()
        run.wait_for(lambda: run.diagnostic("odometry").get("session") == "2")
        assert "no subscriber" in run.diagnostic("odometry")["session_began_with"]
        run.wait_for(player.accounted)


def test_odometry_that_always_runs_keeps_it_awake(
    sequence: StereoSequence, any_weights: Path
) -> None:
    parameters = {**QUICK, "network.weights": any_weights, "odometry.run": "always"}
    parameters["odometry.min_inliers"] = 100_000  # no motion has so many
    with NodeProcess(STEREO, parameters, listen=False, input_qos=RELIABLE) as run:
        player = Player(run, sequence)
        player.send()
        run.wait_for(lambda: player.count("processing", "processed") == 1)
        assert run.diagnostic("odometry")["running"] == "True"
        assert player.count("processing", "idle") == 0
        player.send()
        run.wait_for(lambda: run.diagnostic("odometry")["last_status"] == "LOST")
