"""The weights of a folded network as the kernels take them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from msga_ros.network.fused.values import Attention, Convolution, Gate, Linear, Norm
from msga_ros.network.graph import AnnularConvolution, EdgeConvolution
from msga_ros.network.layers import ContextNorm, ResidualBlock
from msga_ros.network.msformer import (
    AttentionalGate,
    Bottleneck,
    ClusterEmbedding,
    GlobalContext,
    GridBatchNorm,
    MSFormerLayer,
    kept_entries,
)
from msga_ros.network.sdgi import SparseDynamicGraphInteraction
from msga_ros.network.sieving import SievingModule


@dataclass(frozen=True)
class Block:
    """A residual block."""

    linear0: Linear
    norm0: Norm
    linear1: Linear
    norm1: Norm


@dataclass(frozen=True)
class Layer:
    """An MSFormer layer."""

    qkv: Convolution
    attention: Attention
    output: Linear
    local: Convolution
    gate: Gate
    widen: Convolution
    narrow: Convolution


@dataclass(frozen=True)
class Context:
    """Pooling, layers, unpooling; `side` of the grid."""

    pool_norm: Norm
    pool: Linear
    layers: tuple[Layer, ...]
    unpool_norm: Norm
    unpool: Linear
    side: int


@dataclass(frozen=True)
class Sieve:
    """A sieving module.

    `on_shallow`, `on_deep`, `on_context` project features for all that happens on edges: columns
    of the annular convolution (own, other 0 to 2) and of the query of the first interaction; of
    its key and value and of the query of the second; of its key and value.
    """

    neighbours: int
    dynamic: bool
    embed: Linear
    residual0: tuple[Block, ...]
    on_shallow: Linear
    annular: Linear
    residual1: tuple[Block, ...]
    on_deep: Linear
    interaction0: Linear
    head0: Linear
    context: Context
    on_context: Linear
    interaction1: Linear
    residual2: Block
    head1: Linear


def sieve(module: SievingModule) -> Sieve:
    """Of a folded module."""
    first, second, context = module.interaction0, module.interaction1, module.context
    assert isinstance(first, SparseDynamicGraphInteraction)
    assert isinstance(second, SparseDynamicGraphInteraction)
    assert context is not None
    return Sieve(
        neighbours=module.neighbours,
        dynamic=module.dynamic_graphs,
        embed=_linear(module.embed),
        residual0=_blocks(module.residual0),
        on_shallow=_beside(*_annular(module.annular), *_edges(first.query)),
        annular=_linear(module.annular.rings_to_match),
        residual1=_blocks(module.residual1),
        on_deep=_beside(*_edges(first.key), *_edges(first.value), *_edges(second.query)),
        interaction0=_linear(first.output),
        head0=_linear(module.head0),
        context=_context(context),
        on_context=_beside(*_edges(second.key), *_edges(second.value)),
        interaction1=_linear(second.output),
        residual2=block(module.residual2),
        head1=_linear(module.head1),
    )


def block(module: ResidualBlock) -> Block:
    """Of a folded block."""
    return Block(
        _linear(module.linear0), _norm(module.norm0), _linear(module.linear1), _norm(module.norm1)
    )


def linear_of(module: nn.Linear) -> Linear:
    """Of a linear layer."""
    return _linear(module)


def _blocks(stack: nn.ModuleList) -> tuple[Block, ...]:
    return tuple(block(module) for module in stack if isinstance(module, ResidualBlock))


def _linear(module: nn.Linear) -> Linear:
    return Linear(_plain(module.weight), _plain(module.bias))


def _norm(module: ContextNorm) -> Norm:
    assert module.scale is not None and module.shift is not None
    return Norm(_plain(module.scale), _plain(module.shift), module.eps)


def _beside(*layers: Linear) -> Linear:
    return Linear(
        torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
    )


def _edges(module: EdgeConvolution) -> tuple[Linear, Linear]:
    """Own and other of an edge convolution: `own_i - other_j` is the edge from i to j."""
    at_self, at_difference = _plain(module.linear.weight).chunk(2, dim=1)
    own = Linear(at_self + at_difference, _plain(module.linear.bias))
    return own, Linear(at_difference.contiguous(), torch.zeros_like(own.bias))


def _annular(module: AnnularConvolution) -> tuple[Linear, ...]:
    """Own, and other for each place in a ring."""
    channels = module.edges_to_ring.out_features
    weight = _plain(module.edges_to_ring.weight).view(channels, module.RING, 2, channels)
    bias = _plain(module.edges_to_ring.bias)
    others = [
        Linear(weight[:, place, 1].contiguous(), torch.zeros_like(bias))
        for place in range(module.RING)
    ]
    return Linear(weight.sum(dim=(1, 2)), bias), *others


def _context(module: GlobalContext) -> Context:
    pool, unpool = module.pool, module.unpool
    assert isinstance(pool, ClusterEmbedding) and isinstance(unpool, ClusterEmbedding)
    return Context(
        _norm(pool.norm),
        _linear(pool.linear),
        tuple(_layer(layer) for layer in module.layers if isinstance(layer, MSFormerLayer)),
        _norm(unpool.norm),
        _linear(unpool.linear),
        module.grid,
    )


def _layer(module: MSFormerLayer) -> Layer:
    scale0, shift0 = _affine(module.norm0)
    scale1, shift1 = _affine(module.norm1)
    attention, gate = module.attention, module.gate
    assert isinstance(gate, AttentionalGate)
    channels = attention.output.out_channels
    kept = kept_entries(channels // attention.heads)
    depthwise = attention.qkv_depthwise
    local0, local1 = _bottleneck(gate.local)
    whole0, whole1 = _bottleneck(gate.whole)
    widen, narrow = _bottleneck(module.feed_forward)
    qkv = _convolution(attention.qkv)
    output = _convolution(attention.output)
    return Layer(
        qkv=Convolution(qkv.weight, qkv.bias, scale0, shift0),
        attention=Attention(
            _plain(depthwise.weight).reshape(3 * channels, 9).T.contiguous(),
            _biases(depthwise),
            _plain(attention.temperature).flatten(),
            _plain(attention.mixture),
            (kept[0], kept[1], kept[2], kept[3]),
        ),
        output=Linear(output.weight[0], output.bias),
        local=Convolution(local0.weight, local0.bias, scale0, shift0, relu=True),
        gate=Gate(
            scale0,
            shift0,
            local1,
            # On a map of one cell only the middle of a 3 x 3 convolution meets anything.
            Linear(whole0.weight[4].contiguous(), whole0.bias),
            Linear(whole1.weight[4].contiguous(), whole1.bias),
        ),
        widen=Convolution(widen.weight, widen.bias, scale1, shift1, relu=True),
        narrow=narrow,
    )


def _bottleneck(module: Bottleneck) -> tuple[Convolution, Convolution]:
    first, _, second = module
    assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)
    return _convolution(first), _convolution(second)


def _convolution(module: nn.Conv2d) -> Convolution:
    taps = module.weight.shape[2] * module.weight.shape[3]
    weight = _plain(module.weight).permute(2, 3, 0, 1).reshape(taps, *module.weight.shape[:2])
    return Convolution(weight.contiguous(), _biases(module))


def _biases(module: nn.Conv2d) -> Tensor:
    assert module.bias is not None
    return _plain(module.bias)


def _affine(module: GridBatchNorm) -> tuple[Tensor, Tensor]:
    """`(scale, shift)`, each `(C,)`: what a batch norm does in evaluation."""
    assert module.running_mean is not None and module.running_var is not None
    scale = module.weight * torch.rsqrt(module.running_var + module.eps)
    return _plain(scale), _plain(module.bias - module.running_mean * scale)


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().float().contiguous()
