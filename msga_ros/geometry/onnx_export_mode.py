"""How a network is being exported: a few operations have no counterpart in ONNX, and some runtimes
have no double precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_SINGLE = ContextVar("single_precision", default=False)


@contextmanager
def single_precision(wanted: bool = True) -> Iterator[None]:
    """What is solved in float64 is solved in float32 meanwhile, where `wanted`."""
    before = _SINGLE.set(wanted)
    try:
        yield
    finally:
        _SINGLE.reset(before)


def solving_dtype() -> torch.dtype:
    """In which linear systems are solved: float64, unless `single_precision` says otherwise."""
    return torch.float32 if _SINGLE.get() else torch.float64


def exporting() -> bool:
    """True while `torch.export` traces; False for ever in a torch too old to tell."""
    return bool(getattr(torch.compiler, "is_exporting", bool)())
