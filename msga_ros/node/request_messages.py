"""Answers to requests as responses of the services."""

from __future__ import annotations

from typing import Any

import numpy as np

from msga_ros.msg import RequestStatus
from msga_ros.node.messages import correspondences_message, relative_pose_message
from msga_ros.stream.processor import Outcome
from msga_ros.stream.requests import Answer
from msga_ros.two_view.result import Status


def response_message(kind: Any, answer: Answer[Outcome]) -> Any:
    """The response of the service type `kind`."""
    response = refusal_message(kind, answer)
    outcome = answer.outcome
    if outcome is None:
        return response
    result = outcome.result
    inliers, matched = result.counts.geometric_inliers, result.counts.matched
    verdict = Status(int(result.status)).name
    response.message = f"{verdict}: {inliers} of {matched} matches agree with the pose"
    response.correspondences = correspondences_message(outcome)
    response.relative_pose = relative_pose_message(outcome)
    if hasattr(response, "indices"):
        response.reference_indices = np.asarray(result.indices0, np.uint32)
        response.indices = np.asarray(result.indices1, np.uint32)
    return response


def refusal_message(kind: Any, answer: Answer[Any]) -> Any:
    """The response without a result: code, kind and reason."""
    return kind.Response(
        success=answer.outcome is not None,
        message=answer.reason,
        status=RequestStatus(code=int(answer.code), kind=answer.kind),
    )
