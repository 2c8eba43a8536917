"""Nearest neighbours by one product on a device are those of the matching on the host."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from msga_ros.frontend import device_matching
from msga_ros.frontend.base import Features
from msga_ros.frontend.device_matching import DeviceDescriptors, nearest_on_device
from msga_ros.frontend.matching import match_features

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def features(descriptors: np.ndarray) -> Features:
    count = len(descriptors)
    return Features(
        np.zeros((count, 2), np.float32), np.ones(count, np.float32), descriptors, (9, 9)
    )


def descriptors(kind: str, count: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    if kind == "binary":
        return generator.integers(0, 256, (count, 32), np.uint8)
    found = np.abs(generator.normal(size=(count, 128))).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["float", "binary"])
@pytest.mark.parametrize(("count0", "count1"), [(300, 200), (1, 40), (40, 1), (7, 2)])
@pytest.mark.parametrize("entries", [1 << 26, 1000])  # in one block, in several
def test_as_on_the_host(
    device: str,
    kind: str,
    count0: int,
    count1: int,
    entries: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    monkeypatch.setattr(device_matching, "_BLOCK_ENTRIES", entries)
    one, other = descriptors(kind, count0, 0), descriptors(kind, count1, 1)
    other[: min(count0, count1) // 2] = one[: min(count0, count1) // 2]
    host = match_features(features(one), features(other), 1.0, False)
    there = [DeviceDescriptors.upload(rows, torch.device(device)) for rows in (one, other)]
    found = nearest_on_device(*there)
    if kind == "float":
        np.testing.assert_array_equal(found.nearest.cpu(), host.indices1)
        np.testing.assert_array_equal(found.mutual.cpu(), host.mutual)
    bits = np.unpackbits(one, axis=1).astype(float) if kind == "binary" else one.astype(float)
    far = np.unpackbits(other, axis=1).astype(float) if kind == "binary" else other.astype(float)
    squared = ((bits[:, None] - far[None]) ** 2).sum(-1)
    ordered = np.sort(squared if kind == "binary" else np.sqrt(squared), axis=1)
    np.testing.assert_allclose(found.best.cpu(), ordered[:, 0], atol=2e-3)
    second = ordered[:, 1] if count1 > 1 else np.full(count0, np.inf)
    np.testing.assert_allclose(found.second.cpu(), second, atol=2e-3)
    taken = squared[np.arange(count0), found.nearest.cpu()]
    np.testing.assert_allclose(taken, squared.min(1), atol=1e-5)
