"""Errors of a command: one clear line and an exit code; no traceback for a user's mistake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
import yaml

from msga_ros.bags.storage_files import is_bag

FAILED = 1  # the command ran and there is no result
INTERRUPTED = 130  # by Ctrl-C: what a shell says of SIGINT
USAGE = 2  # the command could not run: a missing file, an unreadable image, a wrong entry

NOTHING_USABLE = 3  # it ran to its end, and nothing that it was run for came out

_ROS_MODULES = (
    "rclpy",
    "rosidl",
    "ament",
    "launch",
    "sensor_msgs",
    "rcl_interfaces",
    "msga_ros.msg",
)


class UsageError(ValueError):
    """What the user gave cannot be used; the message is one line that says what and why."""


@contextmanager
def reported_errors(goes_on: bool = False) -> Iterator[None]:
    """Turn errors that the user can act on into one line on standard error and an exit code.

    Those are the package's own exceptions, which name what is wrong, files that cannot be read or
    written, broken YAML, and a missing ROS. Anything else is a defect and keeps its traceback.
    Ctrl-C is a word; `goes_on`: what is done is kept for the next call.
    """
    try:
        yield
    except KeyboardInterrupt:
        more = "; the same command goes on from here" if goes_on else ""
        typer.secho(f"msga: interrupted{more}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        typer.secho(f"msga: {message}", fg=typer.colors.RED, err=True)
        raise typer.Exit(USAGE) from None


def existing_file(path: Path, what: str) -> Path:
    """`path` if it is a file; raises `UsageError`, which names it and says what it should be."""
    if not path.exists():
        raise UsageError(f"{what} not found: {path}")
    if not path.is_file():
        raise UsageError(f"{what} is not a file: {path}")
    return path


def not_a_bag(path: Path) -> Path:
    """`path` unless it is a recorded bag; raises `UsageError`, which says what reads those."""
    if is_bag(path):
        raise UsageError(f"{path}: a bag: msga bag, compare, loops and view read those")
    return path


@contextmanager
def training_file(path: Path) -> Iterator[None]:
    """Turn what a YAML file of a training may raise while it is read into a `UsageError`."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split()).removeprefix(f"{path}: ")
        raise UsageError(f"{path}: {reason}") from None


def writable_file(path: Path, what: str) -> Path:
    """`path` if a file can be written there, so that long work is not lost at its end."""
    if path.is_dir():
        raise UsageError(f"{what} is a folder: {path}")
    if not path.parent.is_dir():
        raise UsageError(f"folder of the {what} not found: {path.parent}")
    return path


def _message(error: Exception) -> str | None:
    kind = type(error)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith(_ROS_MODULES):
        return f"ROS 2 is not available ({error}): run `make setup`, or source a ROS 2 distribution"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    ours = isinstance(error, ValueError) and kind.__module__.split(".")[0] == "msga_ros"
    if ours or kind.__module__.split(".")[0] == "yaml":
        return " ".join(str(error).split())
    return None
