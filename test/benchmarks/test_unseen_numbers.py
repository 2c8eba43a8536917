"""Numbers of keypoints that a matcher has not seen: each turn has new ones, on the device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import ModuleType

import numpy as np
import pytest
import torch

from msga_ros.frontend.base import Features
from msga_ros.frontend.device_matching import DeviceDescriptors
from msga_ros.frontend.matchers import glue


class Counting:
    """Stands in for a front end; keeps the numbers that it was given."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.plain: list[bool] = []  # whether PyTorch chooses the attention

    def match(self, features0: Features, features1: Features) -> None:
        for view in (features0, features1):
            assert len(view.keypoints) == len(view.scores) == len(view.descriptors) > 0
            np.testing.assert_array_equal(view.payload.vectors.numpy(), view.descriptors)
            assert len(view.payload.squares) == len(view)
            assert view.scores[0] == 1.0  # the strongest stay
        self.seen.append((len(features0), len(features1)))
        self.plain.append(isinstance(glue._attention(torch.device("cuda")), nullcontext))


def features(count: int) -> Features:
    vectors = np.random.default_rng(count).random((count, 8), np.float32)
    return Features(
        np.zeros((count, 2), np.float32),
        np.linspace(1.0, 0.0, count, dtype=np.float32),
        vectors,
        (64, 48),
        payload=DeviceDescriptors.of(torch.from_numpy(vectors)),
    )


def test_each_turn_has_numbers_that_were_not_seen(
    benchmark_module: Callable[[str], ModuleType],
) -> None:
    unseen_numbers = benchmark_module("unseen_numbers").unseen_numbers
    front_end = Counting()
    entry = unseen_numbers(front_end, (features(400), features(300)), torch.device("cpu"), False)
    assert len(front_end.seen) == 12
    for numbers, before in zip(zip(*front_end.seen, strict=True), (400, 300), strict=True):
        assert len({before, *numbers}) == 13
    assert 0 < entry["unseen_ms"] <= entry["unseen_most_ms"]
    assert set(entry) == {"unseen_ms", "unseen_most_ms"}  # cuDNN is of CUDA


def test_few_keypoints_leave_one(benchmark_module: Callable[[str], ModuleType]) -> None:
    front_end = Counting()
    unseen_numbers = benchmark_module("unseen_numbers").unseen_numbers
    unseen_numbers(front_end, (features(20), features(5)), torch.device("cpu"), True)
    assert front_end.seen == [(9, 1), (1, 1)]


def test_on_cuda_also_with_cudnn_of_new_numbers(
    benchmark_module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = benchmark_module("unseen_numbers")
    monkeypatch.setattr(module, "synchronise", lambda _: None)
    front_end = Counting()
    views = features(400), features(300)
    entry = module.unseen_numbers(front_end, views, torch.device("cuda"), False)
    assert {"unseen_ms", "cudnn_unseen_ms", "cudnn_seen_ms"} < set(entry)
    assert front_end.plain == [False] * 12 + [True] * 6
    assert front_end.seen[12:15] == front_end.seen[15:]
    assert len({*front_end.seen}) == 15
    assert not isinstance(glue._attention(torch.device("cuda")), nullcontext)  # as it was
