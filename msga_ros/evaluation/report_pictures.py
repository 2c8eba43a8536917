"""Pictures of pairs: their matches, over the images where those are at hand."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.dumps import INLIER_THRESHOLD, Pair
from msga_ros.datasets.posed.base import PosedImage, PosedImagesError
from msga_ros.datasets.posed.sources import open_scene
from msga_ros.evaluation.examples import Example

Floats = NDArray[np.float64]

_HEIGHT = 250  # of a view
_GAP = 8
_MOST_LINES = 90  # of each kind
# Right and kept, wrong and kept, right and missed: blue, orange, thin dashes.
_KINDS = (
    ("missed", 'stroke="#444" stroke-width="0.8" stroke-dasharray="3 3" stroke-opacity="0.75"'),
    ("wrong", 'stroke="#E69F00" stroke-width="1.3" stroke-opacity="0.9"'),
    ("right", 'stroke="#0072B2" stroke-width="1.1" stroke-opacity="0.75"'),
)


class Images:
    """Finds the images of pairs in a folder of collections, or in a single one.

    A pair is called `SCENE IMAGE0 IMAGE1`; its collection is `folder/SCENE`, or the folder itself.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scenes: dict[str, dict[str, PosedImage]] = {}

    def find(self, pair: Pair) -> tuple[PosedImage, PosedImage] | None:
        """The two images of a pair; None where they are not there."""
        words = pair.name.split()
        if len(words) != 3:
            return None
        if words[0] not in self._scenes:
            self._scenes[words[0]] = self._read(words[0])
        images = self._scenes[words[0]]
        first, second = images.get(words[1]), images.get(words[2])
        return (first, second) if first and second else None

    def _read(self, name: str) -> dict[str, PosedImage]:
        for folder in (self._folder / name, self._folder):
            try:
                scene = open_scene(folder)
            except PosedImagesError:
                continue
            if scene.name == name or folder != self._folder:
                return {image.name: image for image in scene.images}
        return {}


@dataclass(frozen=True)
class _View:
    """One of the two drawings: its background, its size and `(N, 2)` points in it."""

    background: str
    width: float
    points: Floats


def picture(example: Example, images: Images | None) -> str:
    """SVG of both views with lines between them."""
    pair = example.pair
    found = images.find(pair) if images else None
    halves = np.hsplit(pair.correspondences.astype(np.float64), 2)
    views = _over_images(found, halves) if found else None
    left, right = views or tuple(_plain(points) for points in halves)
    width = left.width + _GAP + right.width
    shifted = right.points + np.array([left.width + _GAP, 0.0])
    lines = "".join(
        f'<g {style}><path d="{_path(left.points, shifted, chosen)}"/></g>'
        for (_, style), chosen in zip(_KINDS, _classes(example), strict=True)
    )
    caption = escape(f"Matches of {pair.name}")
    return (
        f'<svg viewBox="0 0 {width:.0f} {_HEIGHT}" class="pair" role="img" fill="none" '
        f'xmlns="http://www.w3.org/2000/svg" aria-label="{caption}"><title>{caption}</title>'
        f"{left.background}"
        f'<g transform="translate({left.width + _GAP:.1f} 0)">{right.background}</g>{lines}</svg>'
    )


def key() -> str:
    """HTML: what the lines stand for."""
    explanation = {
        "right": "true match, kept",
        "wrong": "false match, kept",
        "missed": "true match, not kept",
    }
    items = (
        f'<span class="key"><svg viewBox="0 0 30 10" width="30" height="10">'
        f'<path d="M1 5H29" {style}/></svg>{explanation[name]}</span>'
        for name, style in reversed(_KINDS)
    )
    return f'<p class="legend">{"".join(items)}</p>'


def _classes(example: Example) -> Sequence[NDArray[np.int64]]:
    """Indices of the missed, the wrong and the right matches, thinned out evenly."""
    true = example.pair.residual < INLIER_THRESHOLD
    masks = (true & ~example.inlier, ~true & example.inlier, true & example.inlier)
    chosen = []
    for mask in masks:
        indices = np.flatnonzero(mask)
        if len(indices) > _MOST_LINES:
            indices = indices[np.linspace(0, len(indices) - 1, _MOST_LINES).astype(int)]
        chosen.append(indices)
    return chosen


def _path(points0: Floats, points1: Floats, chosen: NDArray[np.int64]) -> str:
    pairs = zip(points0[chosen], points1[chosen], strict=True)
    return "".join(f"M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}" for a, b in pairs)


def _over_images(
    found: tuple[PosedImage, PosedImage], halves: Sequence[Floats]
) -> tuple[_View, _View] | None:
    views = []
    for image, points in zip(found, halves, strict=True):
        pixels = cv2.imread(str(image.path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is None:
            return None
        scale = _HEIGHT / pixels.shape[0]
        width = max(round(pixels.shape[1] * scale), 1)
        # Twice as many pixels as it is drawn with: sharp on fine screens, too.
        size = (min(2 * width, pixels.shape[1]), min(2 * _HEIGHT, pixels.shape[0]))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 72])
        text = base64.b64encode(data.tobytes()).decode()
        background = (
            f'<image href="data:image/jpeg;base64,{text}" width="{width}" height="{_HEIGHT}" '
            'preserveAspectRatio="none"/>'
        )
        places = (image.camera.project(points) + 0.5) * scale
        views.append(_View(background, float(width), places))
    return views[0], views[1]


def _plain(points: Floats) -> _View:
    """A view without its image: all matches as light discs, in normalised coordinates."""
    low, high = np.percentile(points, (0.5, 99.5), axis=0) if len(points) else (-1.0, 1.0)
    centre, extent = (low + high) / 2, np.maximum(high - low, 1e-6) * np.ones(2)
    scale = 0.94 * _HEIGHT / extent[1]
    width = min(max(extent[0] * scale / 0.94, 0.5 * _HEIGHT), 2.0 * _HEIGHT)
    scale = min(scale, 0.94 * width / extent[0])
    places = (points - centre) * scale + (width / 2, _HEIGHT / 2)
    inside = np.clip(places, 2.0, (width - 2.0, _HEIGHT - 2.0))
    discs = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.2"/>' for x, y in inside)
    background = (
        f'<rect width="{width:.1f}" height="{_HEIGHT}" fill="#f1f3f5"/>'
        f'<g fill="#b6bec7">{discs}</g>'
    )
    return _View(background, float(width), inside)
