"""Runs the node `msga` in a process of its own and talks to it over DDS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from domains import worker_domains
from msga_ros.msg import Correspondences, RelativePose
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from msga_ros.node.reporting import UNEXPECTED

REPOSITORY = Path(__file__).resolve().parents[2]
STEREO = ("left/image", "left/camera_info", "right/image", "right/camera_info")
TEMPORAL = ("image", "camera_info")

_domains = iter(range(1000))


def domain_id() -> int:
    """A domain for one run: another one for every process and every node of it."""
    first, number = worker_domains(20, 80)
    return first + (os.getpid() * 7 + next(_domains)) % number


def header(stamp_ns: int, frame_id: str) -> Header:
    """A header with a stamp in nanoseconds."""
    made = Header(frame_id=frame_id)
    made.stamp.sec, made.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return made


def stamp_ns(made: Header) -> int:
    """The stamp of a header in nanoseconds."""
    return made.stamp.sec * 1_000_000_000 + made.stamp.nanosec


def camera_info(
    k: np.ndarray, size: tuple[int, int], made: Header, baseline: float = 0.0
) -> CameraInfo:
    """A rectified pinhole; `baseline` in metres for the right camera of a pair."""
    info = CameraInfo(header=made, width=size[0], height=size[1], distortion_model="plumb_bob")
    info.d = [0.0] * 5
    info.k = np.asarray(k, dtype=np.float64).ravel()
    info.r = np.eye(3).ravel()
    p = np.hstack([np.asarray(k, dtype=np.float64), np.zeros((3, 1))])
    p[0, 3] = -p[0, 0] * baseline
    info.p = p.ravel()
    return info


class NodeProcess:
    """The node `msga` as a child process, with its publishers, subscribers and log in ours."""

    def __init__(
        self,
        inputs: Sequence[str],
        parameters: Mapping[str, Any],
        extra_arguments: Sequence[str] = (),
        wait_for_state: str | None = "active",
        connect: bool = True,
        topics: Mapping[str, str] | None = None,
        namespace: str = "",
        domain: int | None = None,
        command: Sequence[str] = ("-m", "msga_ros.node"),
        input_qos: QoSProfile = qos_profile_sensor_data,
        listen: bool = True,
        raises: bool = False,
        name: str = "msga",
    ) -> None:
        self._raises = raises  # else an unexpected exception in the node is a failure of the test
        self._subscriptions: dict[str, Any] = {}
        self._listen_to_outputs = listen
        self.messages: dict[str, list[Any]] = {}
        self._command = command
        self._input_qos = input_qos
        self.domain = domain_id() if domain is None else domain
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._parameters = parameters
        self._extra = list(extra_arguments)
        self.inputs = inputs
        self._topics = topics or {}
        self._name = f"{namespace}/{name}"
        self._wait_for_state = wait_for_state
        self._connect = connect and wait_for_state == "active"
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> NodeProcess:
        arguments = [sys.executable, *self._command, "--ros-args", *self._extra]
        for name, value in self._parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            arguments += ["-p", f"{name}:={text}"]
        # Big images need the profile that the launch file sets; our own participant needs it too.
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
            os.environ.setdefault(name, str(REPOSITORY / "config" / "fastdds.xml"))
        self.environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(self.domain),
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
        }
        self.process = subprocess.Popen(
            arguments, env=self.environment, stdout=self._log, stderr=subprocess.STDOUT, text=True
        )
        self._context = Context()
        rclpy.init(context=self._context, domain_id=self.domain)
        self.node = Node("fixture", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._publishers = {}
        for name in self.inputs:
            kind = Odometry if name == "odom" else CameraInfo
            parameter = "depth.transport" if name == "depth/image" else "image_transport"
            transport = self._parameters.get(parameter, "raw")
            topic = self._topics.get(name, name)
            if name.endswith("image"):
                kind = Image if transport == "raw" else CompressedImage
                topic = topic if transport == "raw" else f"{topic}/{transport}"
            self._publishers[name] = self.node.create_publisher(kind, topic, self._input_qos)
        if self._listen_to_outputs:
            self.listen(Correspondences, f"{self._name}/correspondences")
            self.listen(RelativePose, f"{self._name}/relative_pose")
        self.listen(DiagnosticArray, "/diagnostics")
        try:
            if self._wait_for_state is not None:
                self.wait_state(self._wait_for_state)
            if self._connect:
                self.wait_connected()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()
        log = self.log()
        self._log.close()
        if kind is not None:
            print(log)
        elif not self._raises:
            assert UNEXPECTED not in log, log

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 30.0) -> int:
        """Send a signal and wait for the end; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def log(self) -> str:
        """Everything that the process wrote so far."""
        self._log.flush()
        self._log.seek(0)
        return self._log.read()

    def listen(self, kind: Any, topic: str) -> None:
        """Collect the messages of `topic` in `messages[topic]`."""
        kept = self.messages.setdefault(topic, [])
        self._subscriptions[topic] = self.node.create_subscription(kind, topic, kept.append, 50)

    def stop_listening(self, topic: str) -> None:
        """Take the subscription to `topic` down; what came stays in `messages`."""
        self.node.destroy_subscription(self._subscriptions.pop(topic))

    def wait_for(self, done: Callable[[], Any], timeout: float = 20.0, what: str = "") -> Any:
        """Spin until `done()` is true and return its value; fails after `timeout` seconds."""
        end = time.monotonic() + timeout
        while True:
            value = done()
            if value:
                return value
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"the node ended ({self.process.returncode}):\n{self.log()}")
            if time.monotonic() > end:
                raise AssertionError(f"no {what or done} in {timeout} s; log:\n{self.log()}")
            self._executor.spin_once(timeout_sec=0.05)

    def wait_state(self, state: str, timeout: float = 60.0) -> None:
        """Wait until the diagnostics say that the node is in the lifecycle `state`."""
        self.wait_for(
            lambda: self.diagnostic("model").get("state") == state, timeout, f"state {state}"
        )

    def wait_connected(self) -> None:
        """Wait until every topic is connected in both directions."""
        self.wait_for(
            lambda: all(one.get_subscription_count() > 0 for one in self._publishers.values()),
            what="subscriptions of the node",
        )
        self.wait_for(
            lambda: all(
                self.node.count_publishers(topic) > 0
                for topic in self.messages
                if topic.startswith(f"{self._name}/")
            ),
            what="publishers of the node",
        )
        if self._listen_to_outputs:  # a frame before that would be passed over
            self.wait_for(
                lambda: "no subscriber" not in self.diagnostic("processing").get("message", ""),
                what="notice of our subscriptions",
            )

    def use_qos(self, name: str, qos: QoSProfile) -> None:
        """Publish an input with another QoS from now on."""
        old = self._publishers[name]
        self._publishers[name] = self.node.create_publisher(old.msg_type, old.topic_name, qos)
        self.node.destroy_publisher(old)

    def subscribers(self, name: str) -> int:
        """How many subscribe to an input."""
        return int(self._publishers[name].get_subscription_count())

    def diagnostic(self, part: str) -> dict[str, str]:
        """The newest diagnostic `part` (model, input, processing): its values, level and text."""
        for message in reversed(self.messages["/diagnostics"]):
            for status in message.status:
                if status.name == f"{self._name.strip('/')}: {part}":
                    values = {one.key: one.value for one in status.values}
                    return values | {
                        "level": str(int.from_bytes(status.level, "little")),
                        "message": status.message,
                    }
        return {}

    def fresh_diagnostic(self, part: str) -> dict[str, str]:
        """As `diagnostic`, but of a message that was surely made after this call."""
        seen = self.messages["/diagnostics"]
        count = len(seen)
        self.wait_for(lambda: len(seen) >= count + 2, what="fresh diagnostics")
        return self.diagnostic(part)

    def publish(self, messages: Mapping[str, Any]) -> None:
        """Publish one message on each of some inputs."""
        for name, message in messages.items():
            self._publishers[name].publish(message)

    @property
    def poses(self) -> list[RelativePose]:
        """The poses that have come, in order."""
        return self.messages[f"{self._name}/relative_pose"]

    def pose_of(self, stamp: int) -> RelativePose | None:
        """The pose of the current view with this stamp, once it has come."""
        return self._by_stamp(f"{self._name}/relative_pose", stamp)

    def correspondences_of(self, stamp: int) -> Correspondences | None:
        """The correspondences of the current view with this stamp, once they have come."""
        return self._by_stamp(f"{self._name}/correspondences", stamp)

    def _by_stamp(self, topic: str, stamp: int) -> Any:
        for message in reversed(self.messages[topic]):
            if stamp_ns(message.header) == stamp:
                return message
        return None

    def feed(
        self, messages: Mapping[str, Any], done: Callable[[], Any], timeout: float = 20.0
    ) -> Any:
        """Publish a set and wait for `done`; again every 1.5 s: best effort may lose one."""
        end = time.monotonic() + timeout
        while True:
            self.publish(messages)
            try:
                return self.wait_for(done, min(1.5, timeout))
            except AssertionError:
                alive = self.process is not None and self.process.poll() is None
                if not alive or time.monotonic() > end:
                    raise

    def call(self, kind: Any, service: str, request: Any) -> Any:
        """Call a service of the node."""
        client = self.node.create_client(kind, service)
        try:
            self.wait_for(client.service_is_ready, what=f"service {service}")
            future = client.call_async(request)
            self.wait_for(future.done, what=f"answer of {service}")
            return future.result()
        finally:
            self.node.destroy_client(client)
