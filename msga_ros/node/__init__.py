"""The ROS 2 nodes. `main` runs the node `msga`; nothing here imports ROS early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from msga_ros.node.node import MsgaNode


def main(args: Sequence[str] | None = None) -> int:
    """Run the node `msga` until SIGINT, SIGTERM or the end of its context; the exit code."""
    from msga_ros.node.application import run

    return run("msga", _msga, args)


def _msga(stop: threading.Event) -> MsgaNode:
    from msga_ros.node.node import MsgaNode

    return MsgaNode(stop=stop)
