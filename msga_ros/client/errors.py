"""Why a question to the node has no result."""

from __future__ import annotations


class ClientError(RuntimeError):
    """No result; the message says why."""


class RequestTimeout(ClientError, TimeoutError):
    """No answer in time: no such node, or it is too busy."""


class RequestRefused(ClientError):
    """The node has answered that it does not relate these views.

    `code`: one of `RequestStatus`, by name (BAD_INPUT, NOT_ACTIVE, ...); `kind`: which bad input.
    """

    def __init__(self, code: str, kind: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.kind = kind
        self.reason = reason
