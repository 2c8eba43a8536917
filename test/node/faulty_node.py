"""The node `msga` with exceptions in its own code, now and then, in every kind of place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from msga_ros.node import inputs, main
from msga_ros.node.configured_resources import ConfiguredResources
from msga_ros.node.node import MsgaNode
from msga_ros.node.reception import Reception
from msga_ros.stream.processor import Processor

EVERY_MESSAGE = 5  # the fifth, the tenth, ... call raises
EVERY_SET = 3
EVERY_DIAGNOSTICS = 4
EVERY_SUBSCRIPTION = 7


def raising(every: int, place: str, function: Callable[..., Any]) -> Callable[..., Any]:
    calls = count(1)

    def sometimes_raises(*args: Any, **kwargs: Any) -> Any:
        if next(calls) % every == 0:
            raise RuntimeError(f"fault in {place}")
        return function(*args, **kwargs)

    return sometimes_raises


def put_in(owner: Any, name: str, every: int, place: str) -> None:
    setattr(owner, name, raising(every, place, getattr(owner, name)))


def put_in_all() -> None:
    """Into the classes of this process: not by an import, which would put them into the tests'."""
    put_in(Reception, "_on_message", EVERY_MESSAGE, "message")
    put_in(Processor, "process", EVERY_SET, "set")
    put_in(MsgaNode, "_on_timer", EVERY_DIAGNOSTICS, "timer")
    put_in(ConfiguredResources, "reconfigure", 1, "reconfigure")
    put_in(Reception, "reset", 1, "reset")
    put_in(ConfiguredResources, "drain", 1, "drain")
    named = inputs._named
    inputs._named = lambda *args: raising(EVERY_SUBSCRIPTION, "subscription", named(*args))


if __name__ == "__main__":
    put_in_all()
    sys.exit(main())
