"""Pairs of views as a running node publishes them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from functools import partial

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from msga_ros.msg import Correspondences, RelativePose
from msga_ros.stream.message_types import Stamped
from msga_ros.viewing.collector import Collector
from msga_ros.viewing.pairs import ShownPair

_KINDS = {
    "correspondences": Correspondences,
    "relative_pose": RelativePose,
    "matches_image": Image,
}


def listen(
    namespace: str, context: Context | None = None, idle: float = 0.0
) -> Iterator[ShownPair]:
    """Pairs of the node whose topics lie below `namespace`, until the process is interrupted.

    `idle`: stop after so many seconds without a message; 0: never.
    """
    own = context is None
    context = context or Context()
    if own:
        rclpy.init(context=context)
    node = Node("msga_view", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    collector, heard = Collector(expect_picture=True), deque[tuple[str, Stamped]]()
    for name, kind in _KINDS.items():
        node.create_subscription(
            kind, f"{namespace}/{name}", partial(_keep, heard, name), QoSProfile(depth=5)
        )
    last = time.monotonic()
    try:
        while context.ok() and not (idle and time.monotonic() - last > idle):
            executor.spin_once(timeout_sec=0.1)
            while heard:
                last = time.monotonic()
                yield from collector.add(*heard.popleft())
    finally:
        executor.shutdown()
        node.destroy_node()
        if own:
            context.try_shutdown()


def _keep(heard: deque[tuple[str, Stamped]], name: str, message: Stamped) -> None:
    heard.append((name, message))
