"""What a computation asks of a device: operations, bytes and launches, counted and not timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


class _Traffic(TorchDispatchMode):
    """Counts the tensors that go into and come out of every operation that computes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.launches = 0

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        result = function(*arguments, **(keywords or {}))
        if not function.is_view:
            tensors = [
                leaf
                for leaf in tree_leaves((arguments, keywords, result))
                if isinstance(leaf, Tensor)
            ]
            self.bytes += sum(t.numel() * t.element_size() for t in tensors)
            self.launches += 1
        return result


def traffic_of(work: Callable[[], object]) -> dict[str, float]:
    """Floating-point operations (of products and convolutions), bytes that its operations read and
    write where nothing is fused, and how many operations there are."""
    with FlopCounterMode(display=False) as flops:
        work()
    with _Traffic() as traffic:
        work()
    return {
        "gigaflop": flops.get_total_flops() / 1e9,
        "megabytes": traffic.bytes / 1e6,
        "operations": float(traffic.launches),
    }
