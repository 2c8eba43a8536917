"""Memory of the host that a CUDA device reads and writes by itself."""

from __future__ import annotations

import weakref

import numpy as np
import torch
from torch import Tensor

_PAGE = 4096  # bytes


def page_locked(*shape: int) -> Tensor:
    """A float32 tensor of zeros in page-locked memory; copies from and to it need not be waited
    for.

    Torch's own page-locked memory asks the device when it is freed; where that is lost, the process
    ends there. This is the caller's memory, registered with the device.

    Raises:
        RuntimeError: the device is lost, or there is no such memory left.
    """
    count = int(np.prod(shape))
    pages = -(-max(1, count * 4) // _PAGE) * _PAGE
    memory = np.zeros(pages + _PAGE, np.uint8)
    offset = -memory.ctypes.data % _PAGE
    address = memory.ctypes.data + offset
    cuda = torch.cuda.cudart()
    problem = int(cuda.cudaHostRegister(address, pages, 0))
    if problem:
        raise RuntimeError(f"CUDA error {problem}: the host has no page-locked memory for it")
    # What it answers does not matter: a lost device has nothing registered any more.
    weakref.finalize(memory, cuda.cudaHostUnregister, address)
    numbers = memory[offset : offset + count * 4].view(np.float32)
    return torch.from_numpy(numbers.reshape(shape))
