"""Whether the shapes inside the network may follow the data.

On a CPU it pays to look at a mask and to compute only what it leaves. An accelerator would have to
stop for every such look, and neither a recorded graph (CUDA graphs) nor a compiled one can have
any: there, shapes follow from the shapes of the inputs alone and masks do the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_FIXED: ContextVar[bool] = ContextVar("fixed_shapes", default=False)


def fixed_shapes(tensor: Tensor) -> bool:
    """True where shapes must not depend on what tensors on the device of `tensor` hold."""
    return tensor.device.type != "cpu" or _FIXED.get()


@contextmanager
def with_fixed_shapes() -> Iterator[None]:
    """Within it, a CPU computes as an accelerator does."""
    token = _FIXED.set(True)
    try:
        yield
    finally:
        _FIXED.reset(token)
