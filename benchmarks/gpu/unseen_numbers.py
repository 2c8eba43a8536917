"""Milliseconds of an attention matcher where it has not seen the numbers of keypoints before."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext
from unittest import mock

import torch
from records import Entry, synchronise

from msga_ros.frontend.base import Features
from msga_ros.frontend.device_matching import DeviceDescriptors
from msga_ros.frontend.matchers import glue
from msga_ros.two_view.stages import Frontend

_FEWER = (11, 17)  # keypoints of each view that every turn has less


def unseen_numbers(
    front_end: Frontend, views: Sequence[Features], device: torch.device, small: bool
) -> Entry:
    """Of new numbers of keypoints, median and most; on CUDA also with the attention of cuDNN, of
    numbers that are new again and once more of the same."""
    turns = 2 if small else 12
    took = _matched(front_end, _fewer(views, range(1, turns + 1)), device)
    entry: Entry = {"unseen_ms": statistics.median(took), "unseen_most_ms": max(took)}
    if device.type == "cuda":
        some = _fewer(views, range(turns + 1, turns + 4))
        with mock.patch.object(glue, "_attention", return_value=nullcontext()):
            for name in ("cudnn_unseen", "cudnn_seen"):
                took = _matched(front_end, some, device)
                entry |= {f"{name}_ms": statistics.median(took), f"{name}_most_ms": max(took)}
    return entry


def _matched(
    front_end: Frontend, pairs: Sequence[Sequence[Features]], device: torch.device
) -> list[float]:
    times = []
    for pair in pairs:
        synchronise(device)
        started = time.perf_counter()
        front_end.match(*pair)
        synchronise(device)
        times.append(1e3 * (time.perf_counter() - started))
    return times


def _fewer(views: Sequence[Features], turns: Sequence[int]) -> list[list[Features]]:
    """For each of `turns` both views without their last keypoints, on the device already."""
    return [
        [_first(view, len(view) - less * turn) for view, less in zip(views, _FEWER, strict=True)]
        for turn in turns
    ]


def _first(features: Features, count: int) -> Features:
    """With the `count` strongest keypoints, one at least."""
    count = max(count, 1)
    kept = features.payload
    if isinstance(kept, DeviceDescriptors):
        kept = DeviceDescriptors.of(kept.vectors[:count].contiguous())
    return dataclasses.replace(
        features,
        keypoints=features.keypoints[:count],
        scores=features.scores[:count],
        descriptors=features.descriptors[:count],
        payload=kept,
    )
