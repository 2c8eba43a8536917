"""The ROS 2 node `msga_loops`. Nothing here imports ROS early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from msga_ros.node.loops.node import LoopsNode


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT, SIGTERM or the end of its context; the exit code."""
    from msga_ros.node.application import run

    return run("msga_loops", _node, args)


def _node(stop: threading.Event) -> LoopsNode:
    from msga_ros.node.loops.node import LoopsNode

    return LoopsNode(stop=stop)
