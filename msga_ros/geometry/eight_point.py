"""The weighted eight-point algorithm, batched and differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from msga_ros.geometry.onnx_export_mode import exporting, solving_dtype


def weighted_eight_point(correspondences: Tensor, weights: Tensor, hartley: bool = False) -> Tensor:
    """Essential matrix that minimises the weighted algebraic epipolar error.

    Args:
        correspondences: `(B, N, 4)`, normalised image coordinates.
        weights: `(B, N)`, not negative; at least eight should be positive.
        hartley: centre and scale each view by the weighted points before solving. More accurate
            where the points lie far from the optical axis or in a small part of the image.

    Returns:
        `(B, 3, 3)`, Frobenius norm 1, the sign free. Computed in float64 (in float32 within
        `single_precision`) and returned in the dtype of `correspondences`.

    The solution is the right singular vector of the smallest singular value of the 9-column system;
    it is taken as the smallest eigenvector of `X^T diag(w) X`, whose gradient is well conditioned
    where that eigenvalue is apart from the next (see `_smallest_eigenvector`).

    Source: Hartley, "In defense of the eight-point algorithm", PAMI 1997; weighted as in Yi et al.,
    "Learning to find good correspondences", CVPR 2018, eq. 3.
    """
    points = correspondences.to(solving_dtype())
    weight = weights.to(solving_dtype())
    first, second = points[..., 0:2], points[..., 2:4]
    if hartley:
        transform0 = _normalising_transform(first, weight)
        transform1 = _normalising_transform(second, weight)
        first = _apply(transform0, first)
        second = _apply(transform1, second)
    one = torch.ones_like(first[..., :1])
    rows = _outer_rows(torch.cat((second, one), -1), torch.cat((first, one), -1))
    normal_matrix = rows.transpose(-1, -2) @ (rows * weight.unsqueeze(-1))
    essential = _smallest_eigenvector(normal_matrix).unflatten(-1, (3, 3))
    if hartley:
        essential = transform1.transpose(-1, -2) @ essential @ transform0
        essential = essential / essential.flatten(-2).norm(dim=-1)[..., None, None]
    return essential.to(correspondences.dtype)


def _outer_rows(second: Tensor, first: Tensor) -> Tensor:
    """Row `(x'x, x'y, x', y'x, y'y, y', x, y, 1)` of each match, `(B, N, 9)`."""
    return (second.unsqueeze(-1) * first.unsqueeze(-2)).flatten(-2)


def _normalising_transform(points: Tensor, weight: Tensor) -> Tensor:
    """`(B, 3, 3)` similarity that gives the points weighted mean 0 and mean square norm 2."""
    total = weight.sum(-1).clamp_min(1e-12)
    mean = (points * weight.unsqueeze(-1)).sum(-2) / total.unsqueeze(-1)
    spread = ((points - mean.unsqueeze(-2)).square().sum(-1) * weight).sum(-1) / total
    scale = (2 / spread.clamp_min(1e-18)).sqrt()
    zero, one = torch.zeros_like(scale), torch.ones_like(scale)
    x, y = (-scale.unsqueeze(-1) * mean).unbind(-1)
    entries = (scale, zero, x, zero, scale, y, zero, zero, one)
    return torch.stack(entries, -1).unflatten(-1, (3, 3))


def _apply(transform: Tensor, points: Tensor) -> Tensor:
    return points * transform[..., 0, 0][..., None, None] + transform[..., None, 0:2, 2]


class _SmallestEigenvector(torch.autograd.Function):
    """Eigenvector of the smallest eigenvalue of a symmetric positive semidefinite matrix, with a
    bounded gradient.

    `torch.linalg.eigh`'s backward divides by the gaps between all pairs of eigenvalues, which for a
    single wanted eigenvector brings in gaps that have nothing to do with it. Only the gaps to the
    smallest eigenvalue matter (Magnus, "On differentiating eigenvalues and eigenvectors", 1985);
    they are kept from zero relative to the trace.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, matrix: Tensor) -> Tensor:
        # A decomposition on an accelerator waits for it, and could not be recorded as a graph.
        by_products = matrix.device.type != "cpu"
        vector = _by_squaring(matrix) if by_products else torch.linalg.eigh(matrix)[1][..., 0]
        ctx.save_for_backward(matrix, vector)
        return vector

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        matrix, vector = ctx.saved_tensors  # type: ignore[attr-defined]
        column, gradient = vector.unsqueeze(-1), gradients[0].unsqueeze(-1)
        gradient = gradient - column @ (column.transpose(-1, -2) @ gradient)
        value = column.transpose(-1, -2) @ matrix @ column
        trace = _trace(matrix)
        one = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
        # On the other eigenvectors: their gaps. On this one: anything, for nothing is left there.
        gaps = matrix + (_RELATIVE_GAP * trace - value) * one
        gaps = gaps + trace * column @ column.transpose(-1, -2)
        direction = _inverse_of_positive(gaps) @ gradient
        product = -direction @ column.transpose(-1, -2)
        return (product + product.transpose(-1, -2)) / 2


_RELATIVE_GAP = 1e-12


def _smallest_eigenvector(matrix: Tensor) -> Tensor:
    """`(B, 9)` from `(B, 9, 9)` symmetric."""
    vector: Tensor = (
        _by_squaring(matrix) if exporting() else _SmallestEigenvector.apply(matrix)  # type: ignore[no-untyped-call]
    )
    return vector


def _by_squaring(matrix: Tensor) -> Tensor:
    """The same for positive semidefinite matrices, from products alone, without a gradient.

    The smallest eigenvalue of A is the largest of `1 - A / trace(A)`, whose high powers it
    dominates: 32 squarings tell eigenvalues apart that differ by 1e-8 of the trace.
    """
    power = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    power = power - matrix / _trace(matrix)
    # Between two scalings the largest eigenvalue is up to 9: its power has to stay in range.
    scalings, squarings = (4, 8) if power.dtype == torch.float64 else (8, 4)
    least = torch.finfo(power.dtype).tiny
    for _ in range(scalings):
        for _ in range(squarings):
            power = power @ power
        power = power / power.abs().amax((-2, -1), keepdim=True).clamp_min(least)
    # All columns are multiples of the eigenvector; the longest is the most accurate.
    longest = power.square().sum(-2).argmax(-1)[..., None, None].expand(*power.shape[:-1], 1)
    vector = power.gather(-1, longest).squeeze(-1)
    return vector / vector.norm(dim=-1, keepdim=True)


def _inverse_of_positive(matrix: Tensor) -> Tensor:
    """Inverse of positive definite matrices `(B, n, n)` by Gauss-Jordan elimination.

    Library inverses on an accelerator look at how it went, which waits for the device; a positive
    definite matrix needs no pivoting and nothing to look at.
    """
    size = matrix.shape[-1]
    one = torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    work = torch.cat((matrix, one.expand_as(matrix)), -1)
    for k in range(size):
        row = work[..., k : k + 1, :] / work[..., k : k + 1, k : k + 1]
        work = work - (work[..., :, k : k + 1] - one[:, k : k + 1]) * row
    return work[..., size:]


def _trace(matrix: Tensor) -> Tensor:
    """`(B, 1, 1)`, kept from zero."""
    return matrix.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None].clamp_min(1e-30)
