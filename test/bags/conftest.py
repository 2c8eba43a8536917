"""What the tests of bags share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared_data import shared_path

pytest.importorskip("rosbags", reason="the library rosbags is not installed")

from bags.bag_maker import QUICK, Drive, load_pipeline

from msga_ros.bags.options import read_settings
from msga_ros.bags.run import Request, Summary, run
from msga_ros.network import CheckpointError, packaged_weights


@pytest.fixture(scope="session")
def drive() -> Drive:
    """A real rectified stereo sequence."""
    return Drive(shared_path("data/scenes/kitti_stereo_seq1"))


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., tuple[Path, Summary, list[str]]]:
    """Run a bag through the pipeline: the new bag, the summary, the warnings."""
    try:
        packaged_weights()
    except CheckpointError as error:
        pytest.skip(str(error))

    def run_it(
        source: Path,
        name: str = "out",
        *,
        parameters: dict[str, Any] | None = None,
        stop_after: int | None = None,
        **options: Any,
    ) -> tuple[Path, Summary, list[str]]:
        settings = read_settings(None, {**QUICK, **(parameters or {})})
        request = Request(source, tmp_path / name, settings, **options)
        warnings: list[str] = []

        def progress(done: int, _: int) -> None:
            if stop_after is not None and done > stop_after:
                raise KeyboardInterrupt

        summary = run(request, lambda: load_pipeline(settings), warnings.append, progress)
        return request.target, summary, warnings

    return run_it
