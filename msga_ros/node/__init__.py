"""The ROS 2 node. `main` runs the node `msga`; nothing here imports ROS early."""

from __future__ import annotations

from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> int:
    """Run the node `msga` until SIGINT, SIGTERM or the end of its context; the exit code."""
    from msga_ros.node.application import run

    return run(args)
