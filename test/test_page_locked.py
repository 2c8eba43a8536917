"""Page-locked memory is registered while it is used, and then no longer."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import pytest
import torch
from devices import ON_GPU

from msga_ros.devices.page_locked import page_locked


class Registrations:
    """Stands in for the CUDA runtime."""

    def __init__(self, answer: int = 0) -> None:
        self.answer = answer
        self.now: dict[int, int] = {}

    def register(self, address: int, size: int, flags: int) -> int:
        assert address not in self.now and flags == 0
        self.now[address] = size
        return self.answer

    def unregister(self, address: int) -> int:
        del self.now[address]
        return 999  # of a device that is lost: nobody may mind


def stand_in(monkeypatch: pytest.MonkeyPatch, answer: int = 0) -> Registrations:
    seen = Registrations(answer)
    runtime = SimpleNamespace(cudaHostRegister=seen.register, cudaHostUnregister=seen.unregister)
    monkeypatch.setattr(torch.cuda, "cudart", lambda: runtime)
    return seen


@pytest.mark.parametrize("shape", [(0,), (1,), (7, 10), (1024,), (2048, 10)])
def test_whole_pages_are_registered_as_long_as_the_tensor_lives(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    seen = stand_in(monkeypatch)
    tensor = page_locked(*shape)
    assert tensor.shape == shape and tensor.dtype == torch.float32
    assert tensor.is_contiguous() and bool((tensor == 0).all())
    ((address, size),) = seen.now.items()
    assert address % 4096 == 0 and size % 4096 == 0
    assert address <= tensor.data_ptr() or not tensor.numel()
    assert tensor.data_ptr() + 4 * tensor.numel() <= address + size or not tensor.numel()
    view = tensor[:1]
    del tensor
    gc.collect()
    assert address in seen.now
    del view
    gc.collect()
    assert not seen.now


def test_a_device_that_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, answer=2)
    with pytest.raises(RuntimeError, match="CUDA error 2"):
        page_locked(8)


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=ON_GPU)])
def test_the_device_takes_it_for_page_locked(device: str) -> None:
    tensor = page_locked(1000)
    assert tensor.is_pinned()
    tensor += 1
    there = tensor.to(device, non_blocking=True)
    back = page_locked(1000)
    back.copy_(2 * there, non_blocking=True)
    torch.cuda.synchronize()
    assert bool((back == 2).all())
