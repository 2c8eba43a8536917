"""What demo and benchmark need around them: ROS, our messages, the environment of processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msga_ros

if TYPE_CHECKING:
    from rclpy.node import Node

OwnNode = TypeVar("OwnNode", bound="Node")
SET_UP_HINT = (
    "run `make demo`; or `make setup` and then `source scripts/env.sh`; "
    "with a ROS 2 distribution: `colcon build` and `source install/setup.bash`"
)
# The first is read by Fast DDS 2 (Humble, Jazzy), the second by Fast DDS 3 (Kilted).
_PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
LOCAL_VARIABLES = ("ROS_AUTOMATIC_DISCOVERY_RANGE", *_PROFILE_VARIABLES)


def missing_ros() -> str:
    """What of ROS cannot be imported, in a few words; empty if nothing is missing."""
    try:
        import rclpy  # noqa: F401
    except ImportError as error:
        return f"rclpy cannot be imported ({_first_line(error)})"
    try:
        from msga_ros.msg import Correspondences  # noqa: F401  (a bare folder imports too)
    except ImportError as error:
        return f"the messages of msga_ros are not built or not sourced ({_first_line(error)})"
    return ""


def fastdds_profile() -> Path | None:
    """`config/fastdds.xml` of the package: in the ROS install space or the source tree."""
    places = [Path(msga_ros.__file__).resolve().parents[1] / "config"]
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    places += [Path(prefix) / "share" / "msga_ros" / "config" for prefix in prefixes if prefix]
    found = (place / "fastdds.xml" for place in places)
    return next((path for path in found if path.is_file()), None)


def own_domain() -> int:
    """A DDS domain that other programs of this machine hardly are on."""
    return 1 + os.getpid() % 100


def ros_environment(domain: int | None = None) -> dict[str, str]:
    """For the processes: our domain, this machine only, room for big images, this very package.

    `domain` None: one of our own.
    """
    number = own_domain() if domain is None else domain
    environment = {**os.environ, "ROS_DOMAIN_ID": str(number)}
    environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    profile = fastdds_profile()
    if profile is not None and not any(os.environ.get(name) for name in _PROFILE_VARIABLES):
        environment.update(dict.fromkeys(_PROFILE_VARIABLES, str(profile)))
    package = str(Path(msga_ros.__file__).resolve().parents[1])
    paths = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    environment["PYTHONPATH"] = os.pathsep.join([*paths, package])
    return environment


@contextmanager
def variables(environment: Mapping[str, str], names: tuple[str, ...]) -> Iterator[None]:
    """`names` set in this process as in `environment`, for as long as the context lasts."""
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: environment[name] for name in names if name in environment})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def own_context(
    make: Callable[..., OwnNode], environment: Mapping[str, str]
) -> Iterator[tuple[OwnNode, Callable[[float], None]]]:
    """A node of this process in a context, domain and environment of its own.

    `make(context=...)` makes the node. Gives the node, and a function that lets it work for at most
    so many seconds. Signals stay with the caller.
    """
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    context = Context()
    with variables(environment, LOCAL_VARIABLES):
        rclpy.init(
            context=context,
            domain_id=int(environment["ROS_DOMAIN_ID"]),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        node = make(context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield node, lambda seconds: executor.spin_once(timeout_sec=seconds)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
