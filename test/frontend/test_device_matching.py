"""Nearest neighbours by one product on a device are those of the matching on the host."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from devices import DEVICES

from msga_ros.frontend import device_matching
from msga_ros.frontend.base import Features
from msga_ros.frontend.device_matching import DeviceDescriptors, neighbours_on_device
from msga_ros.frontend.matching import nearest_on_host

KINDS = ["float", "whole", "binary", "few bits", "many bits"]
BYTES = {"binary": 32, "few bits": 1, "many bits": 300}


def features(descriptors: np.ndarray) -> Features:
    count = len(descriptors)
    return Features(
        np.zeros((count, 2), np.float32), np.ones(count, np.float32), descriptors, (9, 9)
    )


def descriptors(kind: str, count: int, seed: int) -> np.ndarray:
    """`whole`, `few bits`: so few different ones that many are equally near."""
    generator = np.random.default_rng(seed)
    if kind in BYTES:
        return generator.integers(0, 256, (count, BYTES[kind]), np.uint8)
    if kind == "whole":
        return generator.integers(0, 3, (count, 3)).astype(np.float32)
    found = np.abs(generator.normal(size=(count, 128))).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
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
    """Of equal ones the first, where distances are whole numbers and no rounding decides."""
    monkeypatch.setattr(device_matching, "_BLOCK_ENTRIES", entries)
    one, other = descriptors(kind, count0, 0), descriptors(kind, count1, 1)
    other[: min(count0, count1) // 2] = one[: min(count0, count1) // 2]
    host = nearest_on_host(features(one), features(other))
    there = [DeviceDescriptors.upload(rows, torch.device(device)) for rows in (one, other)]
    assert {place.device.type for place in there} == {device}
    found = neighbours_on_device(*there)
    np.testing.assert_array_equal(found.nearest, host.nearest)
    np.testing.assert_array_equal(found.mutual, host.mutual)
    # The distance of a vector to itself is the root of a rounding error.
    tolerance = 2e-3 if kind == "float" else 0.0
    np.testing.assert_allclose(found.best, host.best, atol=tolerance)
    np.testing.assert_allclose(found.second, host.second, atol=tolerance)
    assert (found.nearest.dtype, found.best.dtype) == (np.int64, np.float32)


@pytest.mark.parametrize("device", DEVICES)
def test_a_table_is_held_a_block_at_a_time(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of descriptors, memory stays bounded."""
    sizes = []
    plain = device_matching._distances

    def counted(*arguments: object) -> torch.Tensor:
        table = plain(*arguments)  # type: ignore[arg-type]
        sizes.append(table.numel())
        return table

    monkeypatch.setattr(device_matching, "_BLOCK_ENTRIES", 1000)
    monkeypatch.setattr(device_matching, "_distances", counted)
    rows = DeviceDescriptors.upload(descriptors("float", 300, 0), torch.device(device))
    neighbours_on_device(rows, rows)
    assert max(sizes) <= 1000 and sum(sizes) == 300 * 300
