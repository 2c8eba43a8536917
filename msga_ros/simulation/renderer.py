"""Textured rectangles seen by a pinhole camera: exact projective geometry, depth buffer, no GPU.

Each rectangle is warped by the homography between its plane and the image; what hides what is
decided pixel by pixel from the inverse depth, which is linear in pixel coordinates on a plane.
Images are drawn at twice the size and averaged down, textures are taken from an image pyramid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera_pose import Pose
from msga_ros.simulation.textures import Texture

SUPERSAMPLING = 2
NEAR = 0.05  # metres; what is nearer is cut away

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Quad:
    """A textured rectangle, visible from the side from which `right` x `down` points away.

    The texture's top left corner lies at `corner`, its sides along `right` and `down` (3,), metres.
    """

    corner: Vector
    right: Vector
    down: Vector
    pyramid: tuple[Texture, ...]

    @classmethod
    def textured(cls, corner: Vector, right: Vector, down: Vector, texture: Texture) -> Quad:
        """Build the image pyramid of `texture`, halving it down to 16 pixels."""
        levels = [texture]
        while min(levels[-1].shape[:2]) >= 32:
            height, width = levels[-1].shape[:2]
            half = cv2.resize(
                levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA
            ).astype(np.uint8)
            levels.append(half)
        return cls(corner, right, down, tuple(levels))


def render(
    quads: Sequence[Quad],
    k: NDArray[np.float64],
    pose: Pose,
    width: int,
    height: int,
    background: tuple[int, int, int],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Draw `quads` as seen by the camera `k` (3, 3) at `pose`.

    Returns the image (height, width, 3) BGR and the inverse depth along the optical axis (height,
    width) in 1/metres, 0 where there is only background. Pixel (0, 0) has its centre at (0, 0).
    """
    scale = SUPERSAMPLING
    k_fine = np.diag([scale, scale, 1.0]) @ k
    k_fine[:2, 2] += (scale - 1) / 2.0  # centres of fine and coarse pixels: x_fine = s x + (s-1)/2
    size = (width * scale, height * scale)
    image = np.empty((size[1], size[0], 3), np.uint8)
    cv2.rectangle(image, (0, 0), size, background, cv2.FILLED)
    inverse_depth = np.zeros((size[1], size[0]), np.float32)
    for visible in _visible(quads, k_fine, pose, size):
        _draw(visible, k_fine, image, inverse_depth)
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    nearness = cv2.resize(inverse_depth, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False), nearness.astype(np.float32, copy=False)


@dataclass(frozen=True)
class _View:
    """A rectangle in the camera frame, and the part of it inside the field of view (n, 3)."""

    quad: Quad
    corner: Vector
    right: Vector
    down: Vector
    polygon: NDArray[np.float64]


def _visible(
    quads: Sequence[Quad], k: NDArray[np.float64], pose: Pose, size: tuple[int, int]
) -> list[_View]:
    """What faces the camera and reaches into the field of view, nearest first."""
    corner = np.stack([quad.corner for quad in quads]) @ pose.rotation.T + pose.translation
    right = np.stack([quad.right for quad in quads]) @ pose.rotation.T
    down = np.stack([quad.down for quad in quads]) @ pose.rotation.T
    faces_camera = np.sum(np.cross(right, down) * corner, axis=1) > 0
    outlines = np.stack([corner, corner + right, corner + right + down, corner + down], axis=1)
    planes = _frustum(k, size)
    inside = outlines @ planes[:, :3].T + planes[:, 3] >= 0  # (quads, 4 corners, 5 planes)
    candidates = faces_camera & np.all(np.any(inside, axis=1), axis=1)
    views = []
    for i in np.flatnonzero(candidates):
        polygon = _clip(outlines[i], planes)
        if len(polygon):
            views.append(_View(quads[i], corner[i], right[i], down[i], polygon))
    return sorted(views, key=lambda view: float(view.polygon[:, 2].mean()))


def _frustum(k: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Planes (5, 4) with `plane . (x, y, z, 1) >= 0` inside: near, left, right, top, bottom."""
    fx, fy, cx, cy = k[0, 0], k[1, 1], k[0, 2], k[1, 2]
    right, bottom = size[0] - 0.5, size[1] - 0.5
    return np.array(
        [
            [0.0, 0.0, 1.0, -NEAR],
            [fx, 0.0, cx + 0.5, 0.0],
            [-fx, 0.0, right - cx, 0.0],
            [0.0, fy, cy + 0.5, 0.0],
            [0.0, -fy, bottom - cy, 0.0],
        ]
    )


def _clip(polygon: NDArray[np.float64], planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of a convex polygon (n, 3) inside all planes (Sutherland and Hodgman), (m, 3)."""
    for plane in planes:
        distances = polygon @ plane[:3] + plane[3]
        if np.all(distances >= 0):
            continue
        kept = []
        for i, (point, distance) in enumerate(zip(polygon, distances, strict=True)):
            before = distances[i - 1]
            if (before >= 0) != (distance >= 0):
                share = before / (before - distance)
                kept.append(polygon[i - 1] + share * (point - polygon[i - 1]))
            if distance >= 0:
                kept.append(point)
        if len(kept) < 3:
            return np.empty((0, 3))
        polygon = np.array(kept)
    return polygon


def _draw(
    view: _View,
    k: NDArray[np.float64],
    image: NDArray[np.uint8],
    inverse_depth: NDArray[np.float32],
) -> None:
    """Draw one rectangle over `image` where it is nearer than `inverse_depth` says; both change."""
    pixels = view.polygon @ k.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    x0, y0 = np.floor(pixels.min(axis=0)).astype(int).clip(0)
    x1, y1 = np.ceil(pixels.max(axis=0)).astype(int) + 1
    x1, y1 = min(x1, image.shape[1]), min(y1, image.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    fixed_point = np.round((pixels - (x0, y0)) * 16).astype(np.int32)
    cv2.fillConvexPoly(mask, fixed_point, 255, shift=4)
    normal = np.cross(view.right, view.down)
    gradient = normal @ np.linalg.inv(k) / (normal @ view.corner)  # 1/depth = gradient . (x, y, 1)
    columns = (gradient[0] * np.arange(x0, x1)).astype(np.float32)
    rows = (gradient[1] * np.arange(y0, y1) + gradient[2]).astype(np.float32)
    nearness = np.add.outer(rows, columns)
    mask &= cv2.compare(nearness, inverse_depth[y0:y1, x0:x1], cv2.CMP_GT)
    cv2.copyTo(nearness, mask, inverse_depth[y0:y1, x0:x1])

    left, top, width, height = cv2.boundingRect(mask)  # what is hidden need not be warped
    if width == 0:
        return
    mask = mask[top : top + height, left : left + width]
    x0, y0 = x0 + left, y0 + top
    from_unit = k @ np.column_stack([view.right, view.down, view.corner])
    to_unit = np.linalg.inv(from_unit).astype(np.float64, copy=False)
    texture, to_texture = _level(view.quad, to_unit, pixels.mean(axis=0))
    shift = np.array([[1.0, 0.0, x0], [0.0, 1.0, y0], [0.0, 0.0, 1.0]])
    warped = cv2.warpPerspective(
        texture,
        to_texture @ shift,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    cv2.copyTo(warped, mask, image[y0 : y0 + height, x0 : x0 + width])


def _level(
    quad: Quad, to_unit: NDArray[np.float64], centre: NDArray[np.floating]
) -> tuple[Texture, NDArray[np.float64]]:
    """The pyramid level about as fine as the image at pixel `centre`, and image-to-texture (3, 3).

    `to_unit` takes pixels to the unit square of the rectangle.
    """
    height, width = quad.pyramid[0].shape[:2]
    probes = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) + centre[:, None]
    mapped = to_unit @ np.vstack([probes, np.ones(3)])
    texels = mapped[:2] / mapped[2] * np.array([[width], [height]])
    area = abs(np.linalg.det(texels[:, 1:] - texels[:, :1]))
    level = int(np.clip(round(0.5 * np.log2(max(area, 1e-12))), 0, len(quad.pyramid) - 1))
    texture = quad.pyramid[level]
    height, width = texture.shape[:2]
    to_texels = np.array([[width, 0.0, -0.5], [0.0, height, -0.5], [0.0, 0.0, 1.0]])
    return texture, to_texels @ to_unit
