"""MSGA-Net computed as it is written down: every edge as a `2C` vector, every norm on its own.

The reference that the factored form is measured and checked against: channels-first tensors
`(B, C, N, k)`, 2-D convolutions on them, batch norms not folded, nothing in place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msga_ros.geometry.eight_point import weighted_eight_point
from msga_ros.geometry.epipolar import symmetric_epipolar_distance_squared
from msga_ros.network import MSGANet
from msga_ros.network.graph import AnnularConvolution, EdgeConvolution
from msga_ros.network.layers import ContextNorm, ResidualBlock
from msga_ros.network.msformer import GlobalContext
from msga_ros.network.sdgi import SparseDynamicGraphInteraction
from msga_ros.network.sieving import SievingModule


def plain_forward(net: MSGANet, correspondences: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
    """Logits (five tensors), essential matrices `(B, 3, 3)` and residuals `(B, N)` of an unfolded
    network in evaluation mode for `(B, N, 4)` matches, none masked."""
    matches = correspondences.transpose(1, 2).unsqueeze(-1)
    score0, score1, kept, _ = _sieve(net.sieve0, matches)
    matches = _take(matches, kept)
    scores = torch.cat((_take(score0, kept), _take(score1, kept)), 1)
    seen = torch.cat((matches, torch.relu(torch.tanh(scores))), 1)
    score2, score3, kept, features = _sieve(net.sieve1, seen)
    matches = _take(matches, kept)
    raw = _convolution(net.weigh_head, _residual(net.weigh, _take(features, kept)))
    last, scale = raw[:, 0, :, 0], raw[:, 1, :, 0]
    weights = torch.exp(scale) * torch.sigmoid(last)
    weights = weights / (weights.sum(1, keepdim=True) + 1e-5)
    essential = weighted_eight_point(matches.squeeze(-1).transpose(1, 2), weights)
    logits = [score[:, 0, :, 0] for score in (score0, score1, score2, score3)] + [last]
    return logits, essential, symmetric_epipolar_distance_squared(correspondences, essential)


def _sieve(module: SievingModule, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    assert module.embed_norm is not None
    k = module.neighbours
    shallow = torch.relu(_norm(module.embed_norm, _convolution(module.embed, inputs)))
    for block in module.residual0:
        shallow = _residual(block, shallow)
    edges1 = _edges(shallow, k)
    deep = _annular(module.annular, edges1)
    for block in module.residual1:
        deep = _residual(block, deep)
    edges2 = _edges(deep, k)
    features = _interaction(module.interaction0, edges1, edges2) + shallow
    score0 = _convolution(module.head0, features)
    context = _context(module.context, features)
    edges3 = _edges(context, k)
    features = _interaction(module.interaction1, edges2, edges3) + deep
    features = _residual(module.residual2, features)
    score1 = _convolution(module.head1, features)
    kept = score1[:, 0, :, 0].topk(int(score1.shape[2] * module.keep), dim=1).indices
    return score0, score1, kept, features


def _convolution(linear: nn.Linear, features: Tensor) -> Tensor:
    return F.conv2d(features, linear.weight[:, :, None, None], linear.bias)


def _norm(norm: nn.BatchNorm1d, features: Tensor) -> Tensor:
    return F.batch_norm(
        features, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
    )


def _context_norm(norm: ContextNorm, features: Tensor) -> Tensor:
    return _norm(norm.norm, F.instance_norm(features, eps=norm.eps))


def _residual(block: ResidualBlock, features: Tensor) -> Tensor:
    hidden = torch.relu(_context_norm(block.norm0, _convolution(block.linear0, features)))
    hidden = _context_norm(block.norm1, _convolution(block.linear1, hidden))
    return torch.relu(hidden + features)


def _edges(features: Tensor, k: int) -> Tensor:
    """`(B, 2C, N, k)`."""
    points = features.squeeze(-1)
    squares = points.square().sum(1, keepdim=True)
    closeness = 2 * points.transpose(1, 2) @ points - squares - squares.transpose(1, 2)
    neighbours = closeness.topk(k, dim=-1).indices
    batch, channels, count = points.shape
    index = neighbours.flatten(1).unsqueeze(1).expand(-1, channels, -1)
    others = points.gather(2, index).view(batch, channels, count, k)
    own = features.expand(-1, -1, -1, k)
    return torch.cat((own, own - others), 1)


def _annular(module: AnnularConvolution, edges: Tensor) -> Tensor:
    assert module.norm0 is not None and module.norm1 is not None
    channels = module.rings_to_match.out_features
    first = module.edges_to_ring.weight.view(channels, 3, -1).transpose(1, 2).unsqueeze(2)
    rings = F.conv2d(edges, first, module.edges_to_ring.bias, stride=(1, 3))
    rings = torch.relu(_norm(module.norm0, rings))
    second = module.rings_to_match.weight.view(channels, module.rings, -1).transpose(1, 2)
    result = F.conv2d(rings, second.unsqueeze(2), module.rings_to_match.bias)
    return torch.relu(_norm(module.norm1, result))


def _interaction(module: SparseDynamicGraphInteraction, shallow: Tensor, deep: Tensor) -> Tensor:
    query = _edge_convolution(module.query, shallow)
    key = _edge_convolution(module.key, deep)
    value = _edge_convolution(module.value, deep)
    attention = torch.softmax(query * key, dim=3)
    message = _convolution(module.output, attention * value)
    return torch.relu(message.amax(3, keepdim=True))


def _edge_convolution(module: EdgeConvolution, edges: Tensor) -> Tensor:
    assert module.norm is not None
    return torch.relu(_norm(module.norm, _convolution(module.linear, edges)))


def _context(module: GlobalContext, features: Tensor) -> Tensor:
    membership = _convolution(
        module.pool.linear, torch.relu(_context_norm(module.pool.norm, features))
    ).squeeze(-1)
    clusters = features.squeeze(-1) @ torch.softmax(membership, dim=2).transpose(1, 2)
    cells = clusters.unflatten(2, (module.grid, module.grid))
    for layer in module.layers:
        cells = layer(cells)
    share = _convolution(
        module.unpool.linear, torch.relu(_context_norm(module.unpool.norm, features))
    ).squeeze(-1)
    spread = cells.flatten(2) @ torch.softmax(share, dim=1)
    return features + spread.unsqueeze(-1)


def _take(values: Tensor, index: Tensor) -> Tensor:
    return values.gather(2, index[:, None, :, None].expand(-1, values.shape[1], -1, 1))
