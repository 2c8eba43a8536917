"""Kernels run on CUDA where there is one, and by Triton's interpreter where not."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import pytest
import torch

# The interpreter has to be chosen before triton is imported for the first time.
_LATE = "triton" in sys.modules and not os.environ.get("TRITON_INTERPRET")
if not torch.cuda.is_available() and not _LATE:
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="module")
def device() -> str:
    """Where the network is."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="module")
def kernels() -> None:
    """Skips where no kernel can run."""
    if find_spec("triton") is None:
        pytest.skip("triton is not installed")
    if _LATE and not torch.cuda.is_available():
        pytest.skip("triton was imported without its interpreter")
