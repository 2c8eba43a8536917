"""Makes the pipeline that a configured node holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msga_ros.two_view.config import PipelineConfig

if TYPE_CHECKING:
    from msga_ros.two_view.pipeline import TwoViewPipeline


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
    def device_problem(self) -> str:
        """Why it runs on the CPU though CUDA was meant; "" where all is well."""
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
