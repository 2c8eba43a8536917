"""Makes the pipeline that a configured node holds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msga_ros.two_view.config import PipelineConfig

if TYPE_CHECKING:
    from msga_ros.two_view.pipeline import TwoViewPipeline


_SLICE = 0.1  # s


@dataclass(frozen=True)
class Model:
    """A pipeline that has run once; `source`: its weights, or its sieve where it has none."""

    pipeline: TwoViewPipeline
    source: str

    @property
    def device(self) -> str:
        """Where the network runs now; it can move to the CPU when memory runs out."""
        return str(self.pipeline.device)

    @property
    def matching_device(self) -> str:
        """Where features are related now."""
        return self.pipeline.matching_device

    @property
    def follows(self) -> bool:
        """Whether points are followed from image to image."""
        return self.pipeline.follows

    @property
    def device_problem(self) -> str:
        """Why one of both is the CPU though CUDA was meant; "" where all is well."""
        return str(self.pipeline.device_problem)


def load_model(config: PipelineConfig) -> Model:
    """Load and warm up the pipeline of `config`.

    Raises `CheckpointError`, `FrontendError`, `SieveError`, `ConfigError` or `OSError` with the
    reason.
    """
    # Torch takes seconds to import; a node that is only asked for its parameters need not wait.
    from msga_ros.two_view.pipeline import TwoViewPipeline

    pipeline = TwoViewPipeline(config)
    pipeline.warm_up()
    return Model(pipeline, pipeline.sieve.source or pipeline.sieve_name)


class LoadingInterrupted(RuntimeError):
    """The model was not waited for."""


class InterruptibleLoading:
    """Makes a model in a thread of its own, and stops waiting for it once `stop` is set.

    What takes long in there (a large file, a GPU that does not answer, a checkpoint that claims
    millions of layers) cannot be ended from outside; the process can, and need not wait for it.
    """

    def __init__(self, load: Callable[[PipelineConfig], Model], stop: threading.Event) -> None:
        self._load = load
        self._stop = stop
        self._thread: threading.Thread | None = None

    @property
    def left_behind(self) -> bool:
        """Whether a thread still makes a model that was given up."""
        return self._thread is not None and self._thread.is_alive()

    def load(self, config: PipelineConfig) -> Model:
        """The model. Raises what making it raises, and `LoadingInterrupted`."""
        outcome: list[Model | BaseException] = []

        def make() -> None:
            try:
                outcome.append(self._load(config))
            except BaseException as error:
                outcome.append(error)

        self._thread = threading.Thread(target=make, name="msga_loading", daemon=True)
        self._thread.start()
        # In slices: a signal is handled between them, and sets `stop`.
        while self._thread.is_alive() and not self._stop.is_set():
            self._thread.join(_SLICE)
        if self._stop.is_set() or not outcome:
            raise LoadingInterrupted("interrupted while the model was made")
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]
