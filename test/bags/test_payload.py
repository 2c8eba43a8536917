"""Bags with a front end that keeps more of an image than keypoints: can the run go on later?"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bags.bag_maker import QUICK, Drive, load_pipeline, write
from bags.test_run import raw

from msga_ros.bags.options import read_settings
from msga_ros.bags.run import Request, run
from msga_ros.frontend.base import Features

SETTINGS = {**QUICK, "frontend.max_keypoints": 400}


class WithPayload:
    """The pipeline of the settings, whose features carry `payload` along."""

    def __init__(self, pipeline: Any, payload: object) -> None:
        self._pipeline, self._payload = pipeline, payload
        self.relate = pipeline.relate

    def extract(self, image: np.ndarray) -> Features:
        return dataclasses.replace(self._pipeline.extract(image), payload=self._payload)

    def follow(self, previous: Features | None, image: np.ndarray) -> Features:
        return self.extract(image)

    def beside(self, left: Features, image: np.ndarray) -> Features:
        return self.extract(image)


@pytest.mark.parametrize(
    ("payload", "goes_on"),
    [(np.arange(5.0), True), (object(), False)],
    ids=["numbers", "anything"],
)
def test_a_run_goes_on_if_its_payload_can_be_kept(
    tmp_path: Path, drive: Drive, payload: object, goes_on: bool
) -> None:
    """Numbers are kept. With anything else that is said, and the run begins again: the same bag."""
    source = write(tmp_path / "in", drive.stereo(range(3)))
    settings = read_settings(None, SETTINGS)
    made = load_pipeline(settings)

    def processed(name: str, stop_after: int | None = None) -> tuple[int, list[str]]:
        warnings: list[str] = []

        def progress(done: int, _: int) -> None:
            if stop_after is not None and done > stop_after:
                raise KeyboardInterrupt

        request = Request(source, tmp_path / name, settings)
        summary = run(request, lambda: WithPayload(made, payload), warnings.append, progress)
        return summary.resumed, warnings

    with pytest.raises(KeyboardInterrupt):
        processed("stopped", stop_after=8)
    resumed, warnings = processed("stopped")
    assert (resumed > 0) == goes_on
    said = [one for one in warnings if one.startswith("if interrupted, the run begins again")]
    assert bool(said) == (not goes_on)
    assert processed("whole")[0] == 0
    assert raw(tmp_path / "stopped") == raw(tmp_path / "whole")
