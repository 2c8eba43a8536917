"""What a managed node holds while it is configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msga_ros.stream.message_types import Stamped
from msga_ros.stream.model_loading import Model
from msga_ros.stream.requests import Request
from msga_ros.two_view.config import PipelineConfig


class Resources(Protocol):
    """What `configure` makes and `cleanup` ends."""

    @property
    def model(self) -> Model:
        """The pipeline and where it is from."""

    def start(self) -> None:
        """The node becomes active."""

    def put(self, messages: Mapping[str, Stamped], epoch: int) -> None:
        """Take a complete set of messages, in the executor thread."""

    def queue(self, request: Request[Any]) -> bool:
        """Line `request` up for the worker; False where it is full."""

    def reconfigure(self, config: PipelineConfig) -> None:
        """Change live parameters of the pipeline. Raises `ConfigError` and changes nothing."""

    def drain(self) -> None:
        """Take no more, and let the work in hand be finished."""

    def close(self) -> None:
        """End the work and free everything."""
