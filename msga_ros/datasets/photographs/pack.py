"""The file: HDF5 with grey images as JPEG, depth as PNG of 16 bits, cameras, poses and pairs.

Of some pairs it may hold matches as well, which a teacher found and the true pose confirms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.hdf5_writing import new_hdf5
from msga_ros.foreign_text import shown

FORMAT = "photographs-1"
_QUALITY = 90  # of JPEG
# OpenCV's own choice, for pictures, takes five times as much of what is linear between edges.
_DEPTH = (cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, 0)
_LEVELS = 65535  # of inverse depth in PNG; 0: none
_PARTS = 64  # of a pixel, in which matches are stored


class PhotographError(ValueError):
    """A file of photographs that cannot be read or made; the message says why."""


@dataclass(frozen=True)
class Photograph:
    """One image.

    `grey` (H, W) uint8. `camera` (3, 3) in its pixels, `rotation` (3, 3) and `translation` (3,):
    world to camera. `inverse_depth` (H, W) float32 in 1 / world units, 0 where unknown; None where
    the image has none. `place`: images of different places show nothing in common.
    """

    grey: NDArray[np.uint8]
    camera: NDArray[np.float64]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    place: str
    inverse_depth: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class TaughtPair:
    """Images `first` and `second`, and `matches` (M, 4) float32 between them: x0, y0, x1, y1 in
    their pixels."""

    first: int
    second: int
    matches: NDArray[np.float32]


@dataclass(frozen=True)
class Photographs:
    """`pairs` (P, 2) int: images of one place that see something in common; `taught`: those of
    which a teacher has told matches."""

    images: tuple[Photograph, ...]
    pairs: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    taught: tuple[TaughtPair, ...] = ()


def write_photographs(path: Path, images: Iterable[Photograph], pairs: Sequence[object]) -> int:
    """Write `images`, one after the other, and `pairs` of them; how many images there are."""
    variable = h5py.vlen_dtype(np.uint8)
    with new_hdf5(path) as new:
        file = new.file
        file.attrs["format"] = FORMAT
        rows: list[tuple[NDArray[np.float64], str]] = []
        pictures = file.create_dataset("images", (0,), variable, maxshape=(None,), chunks=(64,))
        depths = file.create_dataset("depths", (0,), variable, maxshape=(None,), chunks=(64,))
        for number, one in enumerate(images):
            for dataset in (pictures, depths):
                dataset.resize((number + 1,))
            pictures[number] = _encoded(".jpg", one.grey, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            largest = 0.0
            if one.inverse_depth is not None:
                largest = float(one.inverse_depth.max())
                levels = one.inverse_depth / max(largest, 1e-12) * _LEVELS
                depths[number] = _encoded(".png", np.round(levels).astype(np.uint16), _DEPTH)
            numbers = (one.camera.ravel(), one.rotation.ravel(), one.translation, [largest])
            rows.append((np.concatenate(numbers), one.place))
            new.check()
        file["cameras"] = np.array([row for row, _ in rows], np.float64).reshape(-1, 22)
        file["places"] = np.array([place for _, place in rows], h5py.string_dtype())
        file["pairs"] = np.array(pairs, np.int64).reshape(-1, 2)
        new.check()
    return len(rows)


def add_taught(path: Path, pair: TaughtPair) -> None:
    """Add the matches of one pair to a file. Raises `PhotographError`."""
    levels = np.round(pair.matches * _PARTS)
    if levels.size and not (levels.min() >= 0 and levels.max() <= np.iinfo(np.uint16).max):
        raise PhotographError(f"{path}: matches outside of the images cannot be stored")
    with h5py.File(path, "r+") as file:
        if "taught" not in file:
            variable = h5py.vlen_dtype(np.uint16)
            file.create_dataset("taught", (0,), variable, maxshape=(None,), chunks=(64,))
            file.create_dataset("taught_pairs", (0, 2), np.int64, maxshape=(None, 2))
        count = len(file["taught"])
        for name in ("taught", "taught_pairs"):
            file[name].resize(count + 1, axis=0)
        file["taught_pairs"][count] = (pair.first, pair.second)
        file["taught"][count] = levels.astype(np.uint16).ravel()


def read_photographs(path: str | Path) -> Photographs:
    """All of a file, decoded. Raises `PhotographError`."""
    path = Path(path).expanduser()
    try:
        with h5py.File(path, "r") as file:
            found = file.attrs.get("format")
            if found != FORMAT:
                raise PhotographError(f"{path}: format {shown(found)!r}, not {FORMAT!r}")
            cameras = file["cameras"][:]
            places = [str(place) for place in file["places"].asstr()[:]]
            if not len(file["images"]) == len(file["depths"]) == len(cameras) == len(places):
                raise PhotographError(f"{path}: not as many cameras as images")
            with ThreadPoolExecutor() as pool:
                images = tuple(
                    pool.map(_photograph, file["images"][:], file["depths"][:], cameras, places)
                )
            pairs = np.asarray(file["pairs"][:], np.int64)
            taught = _taught(file)
    except PhotographError:
        raise
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise PhotographError(f"{path}: not a file of photographs ({shown(error)})") from error
    named = np.concatenate([pairs, *(np.array([[one.first, one.second]]) for one in taught)])
    if named.size and not (named.min() >= 0 and named.max() < len(images)):
        raise PhotographError(f"{path}: its pairs name images that there are not")
    return Photographs(images, pairs, taught)


def _taught(file: h5py.File) -> tuple[TaughtPair, ...]:
    if "taught" not in file:
        return ()
    return tuple(
        TaughtPair(int(first), int(second), levels.reshape(-1, 4).astype(np.float32) / _PARTS)
        for (first, second), levels in zip(file["taught_pairs"], file["taught"], strict=True)
    )


def _photograph(
    picture: NDArray[np.uint8], depth: NDArray[np.uint8], row: NDArray[np.float64], place: str
) -> Photograph:
    inverse_depth = None
    if len(depth):
        levels = _decoded(depth, cv2.IMREAD_UNCHANGED)
        inverse_depth = levels.astype(np.float32) * np.float32(row[21] / _LEVELS)
    return Photograph(
        np.asarray(_decoded(picture, cv2.IMREAD_GRAYSCALE), np.uint8),
        row[:9].reshape(3, 3),
        row[9:18].reshape(3, 3),
        row[18:21],
        place,
        inverse_depth,
    )


def _encoded(
    kind: str, image: NDArray[np.uint8] | NDArray[np.uint16], settings: Sequence[int]
) -> NDArray[np.uint8]:
    done, content = cv2.imencode(kind, image, list(settings))
    if not done:
        raise PhotographError(f"an image {image.shape} cannot be written as {kind}")
    return np.asarray(content, np.uint8).ravel()


def _decoded(content: NDArray[np.uint8], how: int) -> NDArray[np.generic]:
    image = cv2.imdecode(np.asarray(content, np.uint8), how)
    if image is None:
        raise PhotographError("an image in it cannot be decoded")
    return np.asarray(image)
