"""Guards around the lifecycle services of rclpy."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from msga_ros.foreign_text import shown
from msga_ros.node.reporting import Reporter

Node = TypeVar("Node", bound=Any)


class Answer(Protocol):
    """The response of a service that says whether it could do it."""

    success: bool


Response = TypeVar("Response", bound=Answer)
Transition = Callable[[Node, LifecycleState], TransitionCallbackReturn]


def reported(transition: Transition[Node]) -> Transition[Node]:
    """A transition whose exception is counted and logged before rclpy takes it for an ERROR."""

    @wraps(transition)
    def wrapped(node: Node, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception as error:
            node.report_exception(transition.__name__, error)
            raise

    return wrapped


def guarded_service(
    reporter: Reporter, place: str, service: Callable[[Any, Response], Response]
) -> Callable[[Any, Response], Response]:
    """A service whose exception is counted and answered with `success = False`."""

    def guarded(request: Any, response: Any) -> Any:
        try:
            return service(request, response)
        except Exception as error:
            reporter.exception(place, error)
            response.success = False
            response.message = shown(f"{type(error).__name__}: {error}")
            return response

    return guarded


def guard_transitions(node: LifecycleNode) -> None:
    """Answer a request for a transition that is not possible now: rclpy raises instead."""
    service = node._service_change_state
    original = service.callback

    def guarded(request: ChangeState.Request, response: ChangeState.Response) -> Any:
        try:
            return original(request, response)
        except RuntimeError as error:  # RCLError has no public name
            node.get_logger().warning(f"transition refused: {error}")
            response.success = False
            return response

    service.callback = guarded


def reason(error: Exception) -> str:
    """Why a transition failed, in words; the type too of an exception that nobody foresaw."""
    text = str(error) or type(error).__name__
    expected = isinstance(error, (ValueError, OSError))
    return text if expected else f"{type(error).__name__}: {text}"
