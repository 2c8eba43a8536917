"""What the launch files of the package have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

# The first is read by Fast DDS 2 (Humble, Jazzy), the second by Fast DDS 3 (Kilted).
_PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
SWITCH = ("true", "false")
SWITCHES = {"true": True, "1": True, "false": False, "0": False}
LOG_LEVELS = ("debug", "warn", "error", "fatal")  # besides info


def share() -> Path:
    """Where the package keeps its launch files and configurations."""
    return Path(get_package_share_directory("msga_ros"))


def argument(
    name: str, description: str, default: str = "", *choices: str
) -> DeclareLaunchArgument:
    """A launch argument; with `choices`, those and the default alone are taken."""
    if not choices:
        return DeclareLaunchArgument(name, default_value=default, description=description)
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=[default, *choices]
    )


def value(context: LaunchContext, name: str) -> str:
    """What was given for an argument, without blanks around it."""
    return str(LaunchConfiguration(name).perform(context)).strip()


def set_fastdds_profile(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The profile for big images (config/fastdds.xml), unless the user has set one."""
    if any(context.environment.get(name) for name in _PROFILE_VARIABLES):
        return []
    profile = str(share() / "config" / "fastdds.xml")
    return [SetEnvironmentVariable(name, profile) for name in _PROFILE_VARIABLES]


def existing_file(name: str, text: str) -> Path:
    """The file that the argument `name` gives. Raises `FileNotFoundError`."""
    path = Path(text).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{name}: there is no file {path}")
    return path


def check_calibration(name: str, text: str) -> None:
    """The argument `name` gives FILE, FILE#CAMERA or nothing. Raises `FileNotFoundError`."""
    if text and not Path(text).expanduser().is_file():
        existing_file(name, text.rpartition("#")[0] or text)


def parameter_files(params_file: str, preset: str, defaults: Path) -> list[str]:
    """The file that is given; with a preset the defaults below it, and a file of one's own above.

    Raises `FileNotFoundError`.
    """
    own = existing_file("params_file", params_file)
    if not preset:
        return [str(own)]
    above = [] if own.samefile(defaults) else [str(own)]
    return [str(defaults), str(share() / "presets" / f"{preset}.yaml"), *above]


def presets() -> list[str]:
    """Names of the configurations of the package."""
    return sorted(path.stem for path in (share() / "presets").glob("*.yaml"))


def full_name(namespace: str, topic: str) -> str:
    """The topic as it is called in `namespace`."""
    return topic if topic.startswith("/") else "/" + "/".join(filter(None, (namespace, topic)))


def managed_node(
    name: str,
    files: list[str],
    overrides: Mapping[str, Any],
    inputs: Mapping[str, str],
    given: Callable[[str], str],
) -> Node:
    """The node `name` by the executable of that name; when it ends, so does the launch.

    `files`: of parameters, `overrides` stand above them; `inputs`: names in the node by those of
    the arguments; `given(argument)`: what was given for it, `namespace` and `log_level` too.
    """
    namespace = given("namespace").strip("/")
    logger = ".".join([*namespace.split("/"), name]).lstrip(".")
    return Node(
        package="msga_ros",
        executable=name,
        name=name,
        namespace=namespace,
        parameters=[*files, dict(overrides)],
        remappings=[(topic, given(argument)) for argument, topic in inputs.items()],
        arguments=["--ros-args", "--log-level", f"{logger}:={given('log_level')}"],
        output="screen",
        emulate_tty=True,
        on_exit=Shutdown(reason=f"the node {name} has ended"),
    )
