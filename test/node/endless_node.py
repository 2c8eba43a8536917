"""The node `msga` with a model that is never ready: `configure` does not end by itself."""

from __future__ import annotations

import sys
import time

from msga_ros.node import main
from msga_ros.two_view import pipeline
from msga_ros.two_view.config import PipelineConfig


def endless(config: PipelineConfig) -> None:
    """Builds one layer after the other."""
    print("configure has begun", flush=True)
    while True:
        time.sleep(0.001)


if __name__ == "__main__":
    pipeline.TwoViewPipeline = endless  # type: ignore[assignment, misc]
    sys.exit(main())
