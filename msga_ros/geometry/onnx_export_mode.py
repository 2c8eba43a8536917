"""Whether a network is being exported: a few operations have no counterpart in ONNX."""

from __future__ import annotations

import torch


def exporting() -> bool:
    """True while `torch.export` traces; False for ever in a torch too old to tell."""
    return bool(getattr(torch.compiler, "is_exporting", bool)())
