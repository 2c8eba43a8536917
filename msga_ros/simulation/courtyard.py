"""The scene of the synthetic sequence: a paved courtyard with house fronts, crates and pillars.

World frame: z up, origin in the middle of the ground, metres. The camera's way, a ring of about
4.5 m radius, is kept free.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.simulation import textures
from msga_ros.simulation.renderer import Quad

HALF_WIDTH = 10.0  # of the courtyard
TILE = 4.0  # width of one piece of ground or wall
WALL_HEIGHT = 4.6
UP = np.array([0.0, 0.0, 1.0])


def build_courtyard(seed: int) -> tuple[Quad, ...]:
    """All rectangles of the scene; the same for the same seed."""
    rng = np.random.default_rng(seed)
    quads = _ground(rng) + _walls(rng) + _skyline(rng)
    for x, y, width, depth, height, yaw in _clutter(rng):
        quads += _box(rng, np.array([x, y, 0.0]), (width, depth, height), yaw)
    return tuple(quads)


def _ground(rng: np.random.Generator) -> list[Quad]:
    starts = np.arange(-HALF_WIDTH, HALF_WIDTH, TILE)
    right, down = np.array([TILE, 0.0, 0.0]), np.array([0.0, -TILE, 0.0])
    return [
        Quad.textured(np.array([x, y + TILE, 0.0]), right, down, textures.ground(rng, 512))
        for x in starts
        for y in starts
    ]


def _walls(rng: np.random.Generator) -> list[Quad]:
    quads = []
    for quarter in range(4):
        inward, right = _directions(quarter * np.pi / 2)
        for along in np.arange(-HALF_WIDTH, HALF_WIDTH, TILE):
            height = WALL_HEIGHT + float(rng.uniform(-1.0, 0.8))
            corner = -inward * HALF_WIDTH + right * along + UP * height
            texture = textures.facade(rng, 512, 448)
            quads.append(Quad.textured(corner, right * TILE, -UP * height, texture))
    return quads


def _skyline(rng: np.random.Generator) -> list[Quad]:
    """Houses behind the walls, at various distances, that show above them."""
    quads = []
    for angle in np.arange(0.0, 2 * np.pi, np.pi / 7):
        inward, right = _directions(float(angle) + float(rng.uniform(-0.1, 0.1)))
        distance, width = float(rng.uniform(17, 34)), float(rng.uniform(8, 13))
        height = distance * float(rng.uniform(0.35, 0.6))
        corner = -inward * distance - right * width / 2 + UP * height
        texture = textures.facade(rng, 512, 512)
        quads.append(Quad.textured(corner, right * width, -UP * height, texture))
    return quads


def _clutter(rng: np.random.Generator) -> NDArray[np.float64]:
    """Boxes, one a row: x, y, width, depth, height, yaw. Some in the middle, some by the walls."""
    rows = []
    for i in range(16):
        inside = i % 3 == 0
        radius = rng.uniform(0.8, 2.4) if inside else rng.uniform(6.6, 8.4)
        angle = 2 * np.pi * (i + rng.uniform(-0.3, 0.3)) / 16
        width, depth = rng.uniform(0.6, 1.3, 2)
        height = rng.uniform(1.8, 3.2) if i % 4 == 1 else rng.uniform(0.5, 1.5)
        rows.append(
            [
                radius * np.cos(angle),
                radius * np.sin(angle),
                width,
                depth,
                height,
                rng.uniform(0, np.pi),
            ]
        )
    return np.array(rows)


def _box(
    rng: np.random.Generator,
    foot: NDArray[np.float64],
    size: tuple[float, float, float],
    yaw: float,
) -> list[Quad]:
    """Four sides and the top of a box that stands at `foot`."""
    width, depth, height = size
    quads = []
    for quarter in range(4):
        outward, right = _directions(yaw + quarter * np.pi / 2)
        half, along = (depth, width) if quarter % 2 else (width, depth)
        corner = foot + outward * half / 2 - right * along / 2 + UP * height
        texture = textures.crate(rng, 256)
        quads.append(Quad.textured(corner, right * along, -UP * height, texture))
    forward, sideways = _directions(yaw)
    corner = foot - forward * width / 2 + sideways * depth / 2 + UP * height
    top = Quad.textured(corner, forward * width, -sideways * depth, textures.crate(rng, 256))
    return [*quads, top]


def _directions(angle: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The horizontal outward normal of a face at `angle`, and what is right for its beholder."""
    normal = np.array([np.cos(angle), np.sin(angle), 0.0])
    return normal, np.cross(UP, normal)
