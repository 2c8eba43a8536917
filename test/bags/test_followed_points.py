"""`msga bag` with points that are followed: ids that persist and never come back."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bags.bag_maker import Drive, write
from bags.test_run import raw, read

PARAMETERS = {"frontend.name": "tracks"}


@pytest.mark.parametrize("mode", ["stereo", "temporal"])
def test_ids_persist_and_never_come_back(
    tmp_path: Path, drive: Drive, process: Any, mode: str
) -> None:
    frames = range(6)
    items = drive.stereo(frames) if mode == "stereo" else drive.mono(frames)
    target, summary, _ = process(
        write(tmp_path / "in", items), parameters={**PARAMETERS, "mode": mode}
    )
    assert summary.by_status.get("OK", 0) >= 4
    seen = [np.array(one.track_ids) for one in read(target)["/msga/correspondences"]]
    gone: set[int] = set()
    for before, after in itertools.pairwise(seen):
        if mode == "temporal":  # a left point may well be found in the right image again
            gone |= set(before[before > 0].tolist()) - set(after.tolist())
        assert not gone & set(after.tolist())
        kept = np.isin(after[after > 0], before).mean()
        assert kept > 0.4
    for ids in seen:
        assert len(np.unique(ids[ids > 0])) == (ids > 0).sum()


@pytest.mark.parametrize("trajectory", [True, False])
def test_an_interrupted_run_begins_again(
    tmp_path: Path, drive: Drive, process: Any, trajectory: bool
) -> None:
    source = write(tmp_path / "in", drive.mono(range(5)))
    options: dict[str, Any] = {
        "parameters": {**PARAMETERS, "mode": "temporal"},
        "trajectory": trajectory,
    }
    whole, _, _ = process(source, "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        process(source, "broken", stop_after=6, **options)
    broken, summary, _ = process(source, "broken", **options)
    assert summary.resumed == 0
    assert raw(broken) == raw(whole)
