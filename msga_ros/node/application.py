"""The process around the node: signals, executor, exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rclpy.executors import Executor

    from msga_ros.node.managed_node import ManagedNode

    MakeNode = Callable[[threading.Event], ManagedNode[Any, Any]]

# SIGINT and SIGTERM are seen after so many seconds at the latest.
_POLL = 0.2


def run(name: str, make: MakeNode, args: Sequence[str] | None = None) -> int:
    """Run the node that `make(stop)` makes; 0 after SIGINT or SIGTERM, 2 where it could not start.

    `make` is called once the process is set up, and imports what it needs then.
    """
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        # Ours instead of rclpy's: those end the context at once, and the work in hand with it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())

    # Read when torch and NumPy are loaded. Their threads wait for each other by spinning: on cores
    # that others use too, a second one costs more than it brings (docs/performance.md).
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from msga_ros.stream.node_settings import SettingsError

    rclpy.init(
        args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO
    )
    try:
        try:
            node = make(stop)
        except SettingsError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
        executor = make_executor()
        executor.add_node(node)
        try:
            spin(node, executor, stop)
        finally:
            node.close()
            executor.shutdown()
            node.destroy_node()
            abandoned = node.still_loading
    finally:
        rclpy.try_shutdown()
    if abandoned:
        # The end of the interpreter would wait for that thread, or break down in its C++ code.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def make_executor() -> Executor:
    """The executor of one thread that costs least: the one that is told what has come, where rclpy
    has it (from Kilted on); the other asks all entities each time that something comes."""
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        from rclpy.executors import SingleThreadedExecutor

        return SingleThreadedExecutor()
    return EventsExecutor()


def spin(node: ManagedNode[Any, Any], executor: Executor, stop: threading.Event) -> None:
    """Spin until `stop` or the end of the context.

    An exception in a callback must not end the node: rclpy raises one, for instance, when a client
    asks for a lifecycle transition that is not possible now. The callbacks of the node count their
    own; what is raised here is counted and logged as well.
    """
    from rclpy.executors import ExternalShutdownException

    while not stop.is_set() and executor.context.ok():
        try:
            executor.spin_once(timeout_sec=_POLL)
        except ExternalShutdownException:
            return
        except Exception as error:
            node.report_exception("executor", error)
