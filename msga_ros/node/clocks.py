"""The clocks of a node: one that nobody stops, and word of time that jumps back."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockType, JumpHandle, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node


def steady_clock() -> Clock:
    """A clock that is not bound to simulated time: its timers go on while a bag is paused."""
    return Clock(clock_type=ClockType.STEADY_TIME)


def on_jump_back(node: Node, least: float, callback: Callable[[float], None]) -> JumpHandle:
    """Have `callback` called with the seconds by which the time of `node` jumps back.

    `least`: seconds; jumps that are shorter do not count. It ends with the handle that comes back.
    """

    def jumped(jump: TimeJump) -> None:
        callback(-jump.delta.nanoseconds * 1e-9)

    threshold = JumpThreshold(
        min_forward=None,
        min_backward=Duration(seconds=-max(least, 1e-9)),
        on_clock_change=False,
    )
    return node.get_clock().create_jump_callback(threshold, post_callback=jumped)
