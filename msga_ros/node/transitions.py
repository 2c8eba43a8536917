"""Guards around the lifecycle services of rclpy."""

from __future__ import annotations

from typing import Any

from lifecycle_msgs.srv import ChangeState


def guard_transitions(node: Any) -> None:
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
