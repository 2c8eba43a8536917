"""Rendered photographs with true depth: rooms whose things bear photographs, whose walls are bare.

What no photograph with a pose alone can teach is staged here: depth at every pixel, so that it is
known what hides what, and surfaces without texture, where the right answer is no match.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.photographs.pack import Photograph
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.simulation.renderer import Quad, render
from msga_ros.simulation.textures import Texture

Vector = NDArray[np.float64]

_BARE = 0.5  # share of the walls without texture
_DEPTH, _WIDTH, _HEIGHT = 6.0, 5.0, 3.2  # metres of a room, about
_BACKGROUND = (96, 96, 96)


def rendered_room(
    textures: Sequence[NDArray[np.uint8]],
    place: str,
    rng: np.random.Generator,
    views: int = 3,
    size: tuple[int, int] = (320, 256),
) -> tuple[list[Photograph], list[tuple[int, int]]]:
    """Views of one room, and all pairs of them.

    Args:
        textures: grey photographs (H, W) for its surfaces.
        size: (width, height) in pixels.
    """
    quads = _walls(textures, rng) + _things(textures, rng)
    target = np.array([rng.normal(0, 0.4), rng.normal(0, 0.2), _DEPTH * 0.75])
    images = [_view(quads, target, place, rng, size) for _ in range(views)]
    return images, list(itertools.combinations(range(views), 2))


def _view(
    quads: Sequence[Quad],
    target: Vector,
    place: str,
    rng: np.random.Generator,
    size: tuple[int, int],
) -> Photograph:
    """Seen from somewhere at the open end of the room, towards about `target`."""
    width, height = size
    focal = width * rng.uniform(0.75, 1.2)
    camera = np.array(
        [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]], np.float64
    )
    centre = np.array([rng.normal(0, 0.7), rng.normal(0, 0.25), rng.uniform(-0.3, 1.2)])
    forward = target + rng.normal(0, 0.3, 3) - centre
    forward /= np.linalg.norm(forward)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    looking = np.stack([right, np.cross(forward, right), forward])
    roll = rotation_matrix(np.array([0.0, 0.0, rng.normal(0, 0.12)]))
    rotation = roll @ looking
    pose = Pose(rotation, -rotation @ centre)
    image, inverse_depth = render(quads, camera, pose, width, height, _BACKGROUND)
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    return Photograph(grey, camera, rotation, pose.translation, place, inverse_depth)


def _walls(textures: Sequence[NDArray[np.uint8]], rng: np.random.Generator) -> list[Quad]:
    """Back, sides, floor and ceiling of a room that is open at z = -1; y points down."""
    x, y = _WIDTH / 2, _HEIGHT / 2
    near, far = -1.0, _DEPTH * rng.uniform(0.8, 1.2)
    long = far - near
    sides = [
        ([-x, -y, far], [2 * x, 0, 0], [0, 2 * y, 0]),  # back
        ([-x, -y, near], [0, 0, long], [0, 2 * y, 0]),  # left
        ([x, -y, far], [0, 0, -long], [0, 2 * y, 0]),  # right
        ([-x, y, far], [2 * x, 0, 0], [0, 0, -long]),  # floor
        ([-x, -y, near], [2 * x, 0, 0], [0, 0, long]),  # ceiling
    ]
    return [
        Quad.textured(
            np.array(corner, np.float64),
            np.array(right, np.float64),
            np.array(down, np.float64),
            _surface(textures, rng),
        )
        for corner, right, down in sides
    ]


def _things(textures: Sequence[NDArray[np.uint8]], rng: np.random.Generator) -> list[Quad]:
    """Boxes that stand in the room, and panels that hang in it."""
    quads: list[Quad] = []
    for _ in range(int(rng.integers(3, 8))):
        size = rng.uniform(0.3, 1.3, 3)
        middle = np.array(
            [rng.uniform(-2, 2), rng.uniform(-1.2, 1.2), rng.uniform(2.2, _DEPTH - 0.8)]
        )
        turn = rotation_matrix(rng.normal(0, [0.15, 0.7, 0.15]))
        sides = 4 if rng.random() < 0.7 else 1
        for quarter in range(sides):
            about = turn @ rotation_matrix(np.array([0.0, quarter * np.pi / 2, 0.0]))
            across, out = (size[0], size[2]) if quarter % 2 == 0 else (size[2], size[0])
            right, down = about @ [across, 0, 0], about @ [0, size[1], 0]
            face = middle - about @ [0, 0, out / 2] - right / 2 - down / 2
            quads.append(Quad.textured(face, right, down, _photograph(textures, rng)))
    return quads


def _surface(textures: Sequence[NDArray[np.uint8]], rng: np.random.Generator) -> Texture:
    return _bare(rng) if rng.random() < _BARE else _photograph(textures, rng)


def _photograph(textures: Sequence[NDArray[np.uint8]], rng: np.random.Generator) -> Texture:
    grey = textures[int(rng.integers(len(textures)))]
    if rng.random() < 0.5:
        grey = grey[:, ::-1]
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(grey), cv2.COLOR_GRAY2BGR), np.uint8)


def _bare(rng: np.random.Generator) -> Texture:
    """A painted wall: one tone, a little brighter to one side."""
    tone = rng.uniform(60, 220)
    slope = np.linspace(-1, 1, 128)
    shade = rng.normal(0, 10) * slope[None, :] + rng.normal(0, 10) * slope[:, None]
    wall = np.clip(tone + shade, 0, 255).astype(np.uint8)
    return np.repeat(wall[:, :, None], 3, axis=2)
