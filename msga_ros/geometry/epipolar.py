"""Epipolar distances of correspondences to an essential matrix.

Convention everywhere: a correspondence is `(x, y, x', y')` in normalised image coordinates and
`[x', y', 1] E [x, y, 1]^T = 0`; with `x' = R x + t` this is `E = [t]_x R`.
"""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-15  # keeps the distance of a match that lies on an epipole finite


def essential_from_pose(rotation: Tensor, translation: Tensor) -> Tensor:
    """Essential matrix `[t]_x R` of the motion `x' = R x + t`.

    Args:
        rotation: `(..., 3, 3)`.
        translation: `(..., 3)`.

    Returns:
        `(..., 3, 3)`, not normalised.
    """
    x, y, z = translation.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1)
    return cross.unflatten(-1, (3, 3)) @ rotation


def _epipolar_terms(correspondences: Tensor, essential: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Algebraic error and the squared norms of both epipolar lines' normals, each `(..., N)`."""
    one = torch.ones_like(correspondences[..., :1])
    first = torch.cat((correspondences[..., 0:2], one), -1)
    second = torch.cat((correspondences[..., 2:4], one), -1)
    # Not in half precision, whatever surrounds it: squared distances of inliers are around 1e-6.
    with torch.autocast(correspondences.device.type, enabled=False):
        line_in_second = first @ essential.transpose(-1, -2)
        line_in_first = second @ essential
    error = (second * line_in_second).sum(-1)
    normal_second = line_in_second[..., 0].square() + line_in_second[..., 1].square()
    normal_first = line_in_first[..., 0].square() + line_in_first[..., 1].square()
    return error, normal_first, normal_second


def symmetric_epipolar_distance_squared(correspondences: Tensor, essential: Tensor) -> Tensor:
    """Squared distance of each point to the other's epipolar line, summed over both views.

    Args:
        correspondences: `(..., N, 4)`, normalised coordinates.
        essential: `(..., 3, 3)`, any scale.

    Returns:
        `(..., N)`, squared normalised units: `(f * sqrt(d / 2))` is about the distance in pixels.

    Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., eq. 11.10.
    """
    error, normal_first, normal_second = _epipolar_terms(correspondences, essential)
    return error.square() * (1 / (normal_first + _TINY) + 1 / (normal_second + _TINY))


def sampson_distance_squared(correspondences: Tensor, essential: Tensor) -> Tensor:
    """First-order approximation of the squared reprojection error of the best 3-D point.

    Args:
        correspondences: `(..., N, 4)`, normalised coordinates.
        essential: `(..., 3, 3)`, any scale.

    Returns:
        `(..., N)`, squared normalised units.

    Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., eq. 11.9.
    """
    error, normal_first, normal_second = _epipolar_terms(correspondences, essential)
    return error.square() / (normal_first + normal_second + _TINY)
