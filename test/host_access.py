"""Finds on a CPU what would make a program wait for an accelerator.

A wait is either a question about values (an `if` on a tensor, a mask as an index) or a constant
that is made on the host and has to be copied: such a copy waits for all work before it.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_QUESTIONS = (
    *("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2"),
    *("unique_dim", "unique_consecutive", "_linalg_eigh", "linalg_inv_ex", "_linalg_svd"),
)
_PACKAGE = str(Path(__file__).resolve().parents[1] / "msga_ros")


class HostAccess(TorchDispatchMode):
    """Collects in `found` where the program inside it waits; `inputs` are on the device already."""

    def __init__(self, inputs: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.found: list[str] = []
        self._alive: dict[int, Tensor] = {}
        for tensor in inputs:
            self._know(tensor)

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        name = function.overloadpacket.__name__
        tensors = [t for t in tree_leaves((arguments, named or {})) if isinstance(t, Tensor)]
        if name in _QUESTIONS:
            self._note(f"{name} asks for values")
        if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            indices = [i for i in arguments[1] if i is not None]
            if any(i.dtype in (torch.bool, torch.uint8) for i in indices):
                self._note("a mask as an index")
        # Numbers become tensors without dimensions; they travel with the call.
        if any(t.dim() and t.numel() and self._key(t) not in self._alive for t in tensors):
            self._note(f"{name} takes what the host made")
            for tensor in tensors:
                self._know(tensor)
        result = function(*arguments, **(named or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._know(tensor)
        return result

    def _key(self, tensor: Tensor) -> int:
        return tensor.untyped_storage().data_ptr()

    def _know(self, tensor: Tensor) -> None:
        self._alive.setdefault(self._key(tensor), tensor.detach())

    def _note(self, what: str) -> None:
        frames = [f for f in traceback.extract_stack() if f.filename.startswith(_PACKAGE)]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "the caller"
        self.found.append(f"{where}: {what}")
