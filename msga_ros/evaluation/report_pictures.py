"""Pictures of pairs: their matches, over the images where those are at hand."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.dumps import INLIER_THRESHOLD, Pair
from msga_ros.datasets.posed.base import PosedImage, PosedImagesError
from msga_ros.datasets.posed.sources import open_scene
from msga_ros.evaluation.examples import Example
from msga_ros.evaluation.report_template import rendered
from msga_ros.frontend.pictures import PictureError, read_picture

Floats = NDArray[np.float64]

_HEIGHT = 250  # of a view
_GAP = 8
_MOST_LINES = 90  # of each kind


@dataclass(frozen=True)
class Kind:
    """How the lines of some matches are drawn: SVG attributes, and what the legend says."""

    meaning: str
    colour: str
    width: float
    opacity: float
    dashes: str = ""


# Later ones are drawn over earlier ones; colours of Okabe and Ito.
KINDS = (
    Kind("true match, not kept", "#444", 0.8, 0.75, "3 3"),
    Kind("false match, kept", "#E69F00", 1.3, 0.9),
    Kind("true match, kept", "#0072B2", 1.1, 0.75),
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
    """One of the two drawings: `(N, 2)` points in it, and its image as base64 text, if any."""

    width: float
    points: Floats
    jpeg: str = ""


def picture(example: Example, images: Images | None) -> str:
    """SVG of both views with lines between them."""
    pair = example.pair
    found = images.find(pair) if images else None
    halves = np.hsplit(pair.correspondences.astype(np.float64), 2)
    left, right = (_over_images(found, halves) if found else None) or (
        _plain(halves[0]),
        _plain(halves[1]),
    )
    offset = left.width + _GAP
    ends = np.stack([left.points, right.points + np.array([offset, 0.0])], axis=1)  # (N, 2, 2)
    return rendered(
        "pair.svg",
        name=pair.name,
        width=offset + right.width,
        height=_HEIGHT,
        views=((left, 0.0), (right, offset)),
        matches=[(k, ends[i].tolist()) for k, i in zip(KINDS, _classes(example), strict=True)],
    )


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


def _over_images(
    found: tuple[PosedImage, PosedImage], halves: Sequence[Floats]
) -> tuple[_View, _View] | None:
    views = []
    for image, points in zip(found, halves, strict=True):
        try:
            pixels = read_picture(image.path)
        except (OSError, PictureError):
            return None
        scale = _HEIGHT / pixels.shape[0]
        width = max(round(pixels.shape[1] * scale), 1)
        # Twice as many pixels as it is drawn with: sharp on fine screens, too.
        size = (min(2 * width, pixels.shape[1]), min(2 * _HEIGHT, pixels.shape[0]))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 72])
        text = base64.b64encode(data.tobytes()).decode()
        places = (image.camera.project(points) + 0.5) * scale
        views.append(_View(float(width), places, text))
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
    return _View(float(width), inside)
