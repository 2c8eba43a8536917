"""RViz in the frame that the outputs of a node `msga` lie in, which its images tell.

RViz wants its fixed frame at start, and the frame of the images is in their headers: wait for the
first output, then become RViz.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence

import rclpy
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import GetParameters
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

# With this one of config/msga.rviz, where nothing has come.
_PATIENCE = 30.0  # s
_ASK_AGAIN = 2.0  # s


def main(arguments: Sequence[str] | None = None) -> int:
    """Replace this process by RViz; returns only where that fails."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="msga_rviz", description=__doc__)
    parser.add_argument("--node", default="/msga", help="full name of the node")
    parser.add_argument("--frame", default="", help="fixed frame; otherwise that of the outputs")
    parser.add_argument("--patience", type=float, default=_PATIENCE, help="s to wait for it")
    parser.add_argument("program", nargs="+", help="RViz and its arguments, after --")
    options = parser.parse_args(given)
    try:
        frame = options.frame or wait_for_frame(options.node, options.patience)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    if not frame:
        print(
            f"msga_rviz: no output of {options.node} in {options.patience:g} s; RViz starts in the "
            "frame of its configuration",
            file=sys.stderr,
        )
    program = options.program
    at = program.index("--ros-args") if "--ros-args" in program else len(program)
    chosen = [*program[:at], *(["-f", frame] if frame else []), *program[at:]]
    try:
        os.execv(chosen[0], chosen)
    except OSError as error:
        print(f"msga_rviz: {chosen[0]}: {error.strerror}", file=sys.stderr)
    return 1


def wait_for_frame(name: str, patience: float) -> str:
    """Frame of the odometry where the node `name` publishes a transform, else of its markers.

    "" where nothing has come for `patience` s. Raises `KeyboardInterrupt` or
    `ExternalShutdownException` where this process is shut down.
    """
    end = time.monotonic() + patience
    rclpy.init(args=[])
    node = rclpy.create_node("msga_rviz_frame")
    frames: list[str] = []
    try:
        if _publishes_tf(node, name, end):

            def heard_odometry(message: Odometry) -> None:
                frames.append(message.header.frame_id)

            node.create_subscription(Odometry, f"{name}/odometry", heard_odometry, 5)
        else:

            def heard_markers(message: MarkerArray) -> None:
                frames.extend(one.header.frame_id for one in message.markers)

            node.create_subscription(MarkerArray, f"{name}/markers", heard_markers, 5)
        _spin(node, lambda: any(frames), end)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return next((frame for frame in frames if frame), "")


def _publishes_tf(node: Node, name: str, end: float) -> bool:
    client = node.create_client(GetParameters, f"{name}/get_parameters")
    if not _spin(node, client.service_is_ready, end):
        return False
    request = GetParameters.Request(names=["publish.tf", "mode"])
    while time.monotonic() < end:
        # An answer is lost where the node has not discovered us yet: ask again.
        answer = client.call_async(request)
        if _spin(node, answer.done, min(time.monotonic() + _ASK_AGAIN, end)):
            values = answer.result().values
            return len(values) == 2 and values[0].bool_value and values[1].string_value == "stereo"
    return False


def _spin(node: Node, done: Callable[[], bool], end: float) -> bool:
    while time.monotonic() < end:
        if done():
            return True
        rclpy.spin_once(node, timeout_sec=0.1)
    return False


if __name__ == "__main__":
    sys.exit(main())
