"""Procedural textures with corners at many scales, drawn from a seeded generator.

Every texture is (H, W, 3) uint8 BGR and unlike every other one, so that a true match is the best
match, while windows, bricks and letters repeat as they do in a town and so produce false ones.
"""

from __future__ import annotations

import string

import cv2
import numpy as np
from numpy.typing import NDArray

Texture = NDArray[np.uint8]
Colour = tuple[int, int, int]


def ground(rng: np.random.Generator, size: int) -> Texture:
    """Worn paving: slabs with joints, stains, cracks and grit, (size, size, 3)."""
    texture = _weathered(rng, size, size, _tint(rng, 110, 10), contrast=45)
    slab = size // 4
    for y in range(0, size, slab):
        for x in range(0, size, slab):
            tile = texture[y : y + slab, x : x + slab]
            tile[:] = cv2.convertScaleAbs(tile, alpha=float(rng.uniform(0.75, 1.2)))
            cv2.rectangle(texture, (x, y), (x + slab, y + slab), (48, 50, 52), size // 128)
    _scatter(rng, texture, count=260, smallest=0.004, largest=0.05, strength=0.8)
    _cracks(rng, texture, count=6)
    return texture


def facade(rng: np.random.Generator, height: int, width: int) -> Texture:
    """A piece of house front: plaster or bricks, windows, posters, signs, (height, width, 3)."""
    base = _tint(rng, float(rng.uniform(110, 190)), 22)
    texture = _weathered(rng, height, width, base, contrast=40)
    if rng.random() < 0.5:
        _bricks(rng, texture)
    columns = int(rng.integers(2, 4))
    cell_width, cell_height = width // columns, height // 2
    for column in range(columns):
        for row in range(2):
            cell = (column * cell_width, row * cell_height, cell_width, cell_height)
            if rng.random() < 0.65:
                _window(rng, texture, cell)
            else:
                _poster(rng, texture, cell)
    _scatter(rng, texture, count=110, smallest=0.004, largest=0.04, strength=0.75)
    return texture


def crate(rng: np.random.Generator, size: int) -> Texture:
    """A side of a packing case: boards, frame, stencilled letters, labels, (size, size, 3)."""
    texture = _weathered(rng, size, size, _tint(rng, float(rng.uniform(90, 170)), 28), contrast=50)
    boards = int(rng.integers(3, 6))
    for edge in np.linspace(0, size, boards + 1)[1:-1]:
        cv2.line(
            texture,
            (0, int(edge)),
            (size, int(edge)),
            (35, 40, 45),
            max(2, size // 100),
        )
    _poster(rng, texture, (size // 8, size // 8, size * 3 // 4, size * 3 // 4))
    _scatter(rng, texture, count=60, smallest=0.01, largest=0.07, strength=0.8)
    cv2.rectangle(texture, (0, 0), (size - 1, size - 1), _colour(rng, 30, 80), size // 14)
    return texture


def _tint(rng: np.random.Generator, brightness: float, spread: float) -> NDArray[np.float32]:
    colour = brightness + rng.uniform(-spread, spread, 3)
    return colour.astype(np.float32)


def _colour(rng: np.random.Generator, low: int = 10, high: int = 245) -> Colour:
    """A colour of moderate saturation, its brightness between `low` and `high`."""
    blue, green, red = np.clip(rng.uniform(low, high) + rng.uniform(-45, 45, 3), 0, 255)
    return int(blue), int(green), int(red)


def _weathered(
    rng: np.random.Generator,
    height: int,
    width: int,
    base: NDArray[np.float32],
    contrast: float,
) -> Texture:
    """Fractal noise around a base colour: each octave half as wide and 0.75 as strong."""
    noise = rng.random((4, 4), np.float32) - 0.5
    strength = 1.0
    while noise.shape[0] < max(height, width):
        cells = noise.shape[0] * 2
        strength *= 0.75
        octave = rng.random((cells, cells), np.float32)
        octave -= 0.5
        octave *= strength
        coarser = cv2.resize(noise, (cells, cells), interpolation=cv2.INTER_CUBIC)
        noise = octave + coarser.astype(np.float32, copy=False)
    noise = noise[:height, :width]
    noise *= np.float32(contrast / 2.0 / noise.std())
    noise += base.mean()
    gray = np.clip(noise, 0, 255).astype(np.uint8)
    offsets = np.round(base - base.mean()).astype(np.int16)
    ramp = np.arange(256, dtype=np.int16)[:, None]
    table = np.clip(ramp + offsets, 0, 255).astype(np.uint8)  # gray level to colour
    return cv2.merge([cv2.LUT(gray, column.copy()) for column in table.T]).astype(np.uint8)


def _scatter(
    rng: np.random.Generator,
    texture: Texture,
    count: int,
    smallest: float,
    largest: float,
    strength: float,
) -> None:
    """Polygons of three to six corners, sizes log-uniform between two fractions of the width."""
    height, width = texture.shape[:2]
    layer = texture.copy()
    sizes = width * np.exp(rng.uniform(np.log(smallest), np.log(largest), (count, 1, 1)))
    angles = np.sort(rng.uniform(0, 2 * np.pi, (count, 6)), axis=1)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=2)
    reach = sizes * rng.uniform(0.5, 1.0, (count, 6, 1))
    centres = rng.uniform((0, 0), (width, height), (count, 1, 2))
    polygons = (centres + reach * rays).astype(np.int32)
    corners = rng.integers(3, 7, count)
    for polygon, n in zip(polygons, corners, strict=True):
        cv2.fillPoly(layer, [polygon[:n]], _colour(rng, 15, 240), cv2.LINE_AA)
    cv2.addWeighted(layer, strength, texture, 1.0 - strength, 0.0, dst=texture)


def _cracks(rng: np.random.Generator, texture: Texture, count: int) -> None:
    height, width = texture.shape[:2]
    for _ in range(count):
        steps = rng.normal(0, width * 0.03, (24, 2)) + rng.normal(0, width * 0.02, 2)
        path = rng.uniform((0, 0), (width, height)) + np.cumsum(steps, axis=0)
        cv2.polylines(texture, [path.astype(np.int32)], False, (40, 42, 44), 2, cv2.LINE_AA)


def _bricks(rng: np.random.Generator, texture: Texture) -> None:
    height, width = texture.shape[:2]
    brick_height = height // 24
    brick_width = brick_height * 3
    for row, y in enumerate(range(0, height, brick_height)):
        for x in range(-(row % 2) * brick_width // 2, width, brick_width):
            left = max(x, 0)
            brick = texture[y : y + brick_height, left : x + brick_width]
            if brick.size:
                brick[:] = cv2.convertScaleAbs(brick, alpha=float(rng.uniform(0.7, 1.15)))
            cv2.rectangle(texture, (x, y), (x + brick_width, y + brick_height), (165, 170, 172), 1)


def _window(rng: np.random.Generator, texture: Texture, cell: tuple[int, int, int, int]) -> None:
    x, y, width, height = cell
    shrink = rng.uniform(0.14, 0.24, 2)
    left, right = int(x + shrink[0] * width), int(x + (1 - shrink[0]) * width)
    top, bottom = int(y + shrink[1] * height), int(y + (1 - shrink[1]) * height)
    glass = _weathered(rng, bottom - top, right - left, _tint(rng, 55, 20), contrast=35)
    texture[top:bottom, left:right] = glass
    frame = _colour(rng, 150, 250)
    thickness = max(3, width // 40)
    cv2.rectangle(texture, (left, top), (right, bottom), frame, thickness)
    middle = int((left + right) / 2 + rng.uniform(-0.05, 0.05) * width)
    bar = int(top + rng.uniform(0.3, 0.6) * (bottom - top))
    cv2.line(texture, (middle, top), (middle, bottom), frame, max(2, thickness // 2))
    cv2.line(texture, (left, bar), (right, bar), frame, max(2, thickness // 2))
    sill = int(0.05 * height)
    cv2.rectangle(texture, (left - sill, bottom), (right + sill, bottom + sill), frame, -1)


def _poster(rng: np.random.Generator, texture: Texture, cell: tuple[int, int, int, int]) -> None:
    """A sheet with lines of random letters and a few figures."""
    x, y, width, height = cell
    paper = np.full((height * 4 // 5, width * 4 // 5, 3), _colour(rng, 120, 250), np.uint8)
    _scatter(rng, paper, count=10, smallest=0.05, largest=0.2, strength=0.9)
    rows = int(rng.integers(3, 6))
    for row in range(rows):
        letters = "".join(rng.choice(list(string.ascii_uppercase + string.digits), 9))
        baseline = int((row + 0.8) * paper.shape[0] / rows)
        font = cv2.FONT_HERSHEY_DUPLEX
        (text_width, _), _ = cv2.getTextSize(letters, font, 1.0, 2)
        scale = float(rng.uniform(0.6, 0.95)) * paper.shape[1] / text_width
        thickness = max(1, round(2 * scale))
        ink = _colour(rng, 0, 110)
        cv2.putText(paper, letters, (4, baseline), font, scale, ink, thickness, cv2.LINE_AA)
    top, left = y + height // 10, x + width // 10
    target = texture[top : top + paper.shape[0], left : left + paper.shape[1]]
    target[:] = paper[: target.shape[0], : target.shape[1]]
