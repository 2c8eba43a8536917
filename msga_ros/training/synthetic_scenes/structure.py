"""Fields of view and points of synthetic scenes, in the frame of the first camera.

The unit of length is the typical depth of the scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from msga_ros.training.synthetic_scenes.config import Structure, SyntheticConfig
from msga_ros.training.synthetic_scenes.draws import Draws

_PLANES = 3
_CLUSTERS = 12


@dataclass(frozen=True)
class View:
    """Half extents `(B, 2)` of the images of one camera, normalised coordinates, and the width
    `(B,)` of a pixel in them."""

    half: Tensor
    pixel: Tensor

    def contains(self, points: Tensor) -> Tensor:
        """`(..., B, N)` bool of points `(..., B, N, 2)`."""
        return (points.abs() < self.half.unsqueeze(1)).all(-1)


def views(draws: Draws, samples: int, config: SyntheticConfig) -> tuple[View, View]:
    """Both cameras: upright or wide images; the second zoomed in a third of the scenes."""
    angle = torch.deg2rad(
        draws.uniform(samples, low=config.field_of_view[0], high=config.field_of_view[1])
    )
    longer = torch.tan(angle / 2)
    shorter = longer * draws.uniform(samples, low=0.55, high=1.0)
    upright = draws.chance(0.25, samples)
    half = torch.stack(
        (torch.where(upright, shorter, longer), torch.where(upright, longer, shorter)), -1
    )
    low, high = config.image_width
    pixel = 2 * longer / draws.uniform(samples, low=low, high=high)
    zoom = torch.where(draws.chance(0.3, samples), (0.2 * draws.normal(samples)).exp(), 1.0)
    return View(half, pixel), View(half * zoom[:, None], pixel * zoom)


def keypoint_rays(draws: Draws, view: View, count: int) -> Tensor:
    """`(B, count, 2)` where a detector finds something: partly everywhere, partly in clusters."""
    samples = len(view.half)
    half = view.half[:, None]
    everywhere = draws.uniform(samples, count, 2, low=-1.0) * half
    centres = draws.uniform(samples, _CLUSTERS, 2, low=-1.0) * half
    spread = draws.log_uniform(samples, _CLUSTERS, low=0.02, high=0.15)
    # The first ones are the richest.
    which = (_CLUSTERS * draws.uniform(samples, count).square()).long()
    around = centres.gather(1, which[..., None].expand(-1, -1, 2))
    around = around + draws.normal(samples, count, 2) * half * spread.gather(1, which)[..., None]
    share = draws.uniform(samples, 1, high=0.9)
    inside = (around.abs() < half).all(-1)
    return torch.where(
        ((draws.uniform(samples, count) < share) & inside)[..., None], around, everywhere
    )


def lifted(rays: Tensor) -> Tensor:
    """`(..., 3)` of normalised coordinates `(..., 2)`: depth 1."""
    return torch.nn.functional.pad(rays, (0, 1), value=1.0)


def scene_points(draws: Draws, view: View, structure: Tensor, rays: Tensor) -> Tensor:
    """Points `(B, M, 3)` of the scene along `rays` `(B, M, 2)`.

    Args:
        structure: `(B,)`, a `Structure` each.
    """
    samples, count, _ = rays.shape
    spread = draws.uniform(samples, 1, low=0.05, high=0.8)
    depth = (draws.normal(samples, count) * spread).exp().clamp(0.2, 20.0)

    # Planes `depth = distance / (1 + slope . ray)`; over half the image the depth along a typical
    # one changes by half, and none goes behind the camera inside the image.
    slope = 0.5 * draws.normal(samples, _PLANES, 2)
    slope = slope * (0.9 / slope.abs().sum(-1, keepdim=True)).clamp_max(1.0)
    slope = slope / view.half[:, None]
    distance = (0.3 * draws.normal(samples, _PLANES)).exp()
    planes = torch.where(
        structure == Structure.PLANES, draws.integer(samples, count=_PLANES) + 1, 1
    )
    which = (draws.uniform(samples, count) * planes[:, None]).long()
    tilt = 1 + (rays * slope.gather(1, which[..., None].expand(-1, -1, 2))).sum(-1)
    share = torch.where(
        structure == Structure.PLANES,
        draws.uniform(samples, low=0.5, high=0.95),
        draws.uniform(samples, low=0.9, high=0.995),
    )
    share = torch.where(structure == Structure.CLOUD, 0.0, share)
    on_plane = draws.uniform(samples, count) < share[:, None]
    depth = torch.where(on_plane, distance.gather(1, which) / tilt, depth)
    return lifted(rays) * depth[..., None]
