"""Sparse dynamic graph interaction: a shallow graph asks, a deeper graph answers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from msga_ros.network.graph import EdgeConvolution, gather_rows
from msga_ros.network.layers import relu

_BLOCK_BYTES = 1 << 20  # edge tensors of one block in inference: small enough to stay in the cache


class SparseDynamicGraphInteraction(nn.Module):
    """Cross attention between the edges of two graphs, per channel, over the neighbours.

    Source: Gong et al., MSGA-Net, TCSVT 2024, section III-C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = EdgeConvolution(channels)
        self.key = EdgeConvolution(channels)
        self.value = EdgeConvolution(channels)
        self.output = nn.Linear(channels, channels)

    def forward(
        self,
        shallow: Tensor,
        shallow_neighbours: Tensor,
        deep: Tensor,
        deep_neighbours: Tensor,
        valid: Tensor | None,
    ) -> Tensor:
        """`(B, N, C)`: the features of the shallow graph plus the message of the deep graph.

        Args:
            shallow, deep: `(B, N, C)` features that the graphs were built on.
            shallow_neighbours, deep_neighbours: `(B, N, k)`.
            valid: `(B, N)` or None.
        """
        if self.query.norm is None and not torch.is_grad_enabled():
            return self._in_blocks(shallow, shallow_neighbours, deep, deep_neighbours)
        query = self.query(shallow, shallow_neighbours, valid)
        key = self.key(deep, deep_neighbours, valid)
        value = self.value(deep, deep_neighbours, valid)
        attention = torch.softmax(query * key, dim=2)
        message = self.output(attention * value).amax(2)
        return shallow + relu(message)

    def _in_blocks(
        self, shallow: Tensor, shallow_neighbours: Tensor, deep: Tensor, deep_neighbours: Tensor
    ) -> Tensor:
        """The same for folded weights, a block of matches at a time, in place."""
        query_own, query_other = self.query.project(shallow)
        key_own, key_other = self.key.project(deep)
        value_own, value_other = self.value.project(deep)
        _, count, k = shallow_neighbours.shape
        step = count
        if shallow.device.type == "cpu":
            bytes_a_match = k * shallow.shape[0] * shallow.shape[2] * shallow.element_size()
            step = max(16, _BLOCK_BYTES // bytes_a_match)
        blocks = []
        for start in range(0, count, step):
            part = slice(start, start + step)
            edges = _edges(query_own, query_other, shallow_neighbours, part)
            edges.mul_(_edges(key_own, key_other, deep_neighbours, part))
            # exp(a - max) * v / sum: the division comes last, on a quarter of the passes.
            edges.sub_(edges.amax(2, keepdim=True)).exp_()
            edges.div_(edges.sum(2, keepdim=True))
            edges.mul_(_edges(value_own, value_other, deep_neighbours, part))
            blocks.append(self.output(edges).amax(2))
        result = blocks[0] if len(blocks) == 1 else torch.cat(blocks, 1)
        return result.relu_() + shallow


def compile_interactions(net: nn.Module, backend: str = "inductor") -> None:
    """Compile the interactions of a network, in place, for any number of matches.

    Nearly all that a network reads and writes are tensors on edges; compiled, most of them are
    never written. State dicts keep their names. `backend` as in `torch.compile`.
    """
    for module in net.modules():
        if isinstance(module, SparseDynamicGraphInteraction):
            module.compile(dynamic=True, backend=backend)


class FeatureSum(nn.Module):
    """What stands in place of the interaction where it is off: both features, added."""

    def forward(
        self,
        shallow: Tensor,
        shallow_neighbours: Tensor,
        deep: Tensor,
        deep_neighbours: Tensor,
        valid: Tensor | None,
    ) -> Tensor:
        """`(B, N, C)`, as `SparseDynamicGraphInteraction`."""
        return shallow + deep


def _edges(own: Tensor, other: Tensor, neighbours: Tensor, part: slice) -> Tensor:
    """`relu(own_i - other_j)` on the edges of some matches, `(B, n, k, C)`."""
    gathered = gather_rows(other, neighbours[:, part])
    return torch.sub(own[:, part].unsqueeze(2), gathered, out=gathered).relu_()
