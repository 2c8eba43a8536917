"""COLMAP sparse models, text and binary: `cameras`, `images` and the points that images share.

Formats: https://colmap.github.io/format.html and https://colmap.github.io/cameras.html. COLMAP puts
the centre of the top-left pixel at (0.5, 0.5), this package at (0, 0): half a pixel is taken off
the principal point.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.posed.base import (
    PosedImage,
    PosedImagesError,
    PosedScene,
    numbered_lines,
    numbers,
    plain_name,
)
from msga_ros.datasets.posed.trajectory import check_quaternion, rotation_from_quaternion
from msga_ros.foreign_text import read_text, shown
from msga_ros.geometry.camera import Camera, CameraError
from msga_ros.geometry.camera_pose import Pose

Points = NDArray[np.int64]  # sorted identities of the 3-D points that an image sees
_Entry = tuple[str, int, Pose, Points]  # name, camera, pose, points

_NO_POINTS: Points = np.empty(0, np.int64)
_MOST_IMAGES = 20_000  # what two of them share is kept for all pairs: 1.6 GB

# Name by number in binary files, and how many parameters each model has.
_MODELS = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
}
_COUNTS = dict(_MODELS.values())
# Distortion coefficients of a `Camera` from what follows the intrinsics.
_Coefficients = Callable[[list[float]], list[float]]
_DISTORTIONS: dict[str, tuple[bool, str, _Coefficients]] = {  # one focal length?, model, order
    "SIMPLE_PINHOLE": (True, "none", lambda d: []),
    "PINHOLE": (False, "none", lambda d: []),
    "SIMPLE_RADIAL": (True, "plumb_bob", lambda d: [d[0], 0.0, 0.0, 0.0]),
    "RADIAL": (True, "plumb_bob", lambda d: [d[0], d[1], 0.0, 0.0]),
    "OPENCV": (False, "plumb_bob", lambda d: d),
    "OPENCV_FISHEYE": (False, "equidistant", lambda d: d),
    "FULL_OPENCV": (False, "rational_polynomial", lambda d: d),
    "SIMPLE_RADIAL_FISHEYE": (True, "equidistant", lambda d: [d[0], 0.0, 0.0, 0.0]),
    "RADIAL_FISHEYE": (True, "equidistant", lambda d: [d[0], d[1], 0.0, 0.0]),
}


def model_folder(folder: Path) -> Path | None:
    """Where the model is: the folder itself, or the usual places below it."""
    for place in (".", "sparse/0", "sparse", "colmap/sparse/0", "dslr_calibration_undistorted"):
        model = folder / place
        for suffix in (".bin", ".txt"):
            files = (model / f"cameras{suffix}", model / f"images{suffix}")
            if all(file.is_file() for file in files):
                return model
    return None


def is_scene(folder: Path) -> bool:
    """Whether there is a model in or below the folder."""
    return model_folder(folder) is not None


def read(folder: Path, images: Path | None = None) -> PosedScene:
    """The scene; images are in `images`, or in a folder of that name here or up to three above."""
    model = model_folder(folder)
    if model is None:
        raise PosedImagesError(f"{folder}: no COLMAP model (cameras and images, .bin or .txt)")
    location = images or _image_folder(folder, model)
    binary = (model / "cameras.bin").is_file() and (model / "images.bin").is_file()
    try:
        cameras = read_cameras_binary(model) if binary else read_cameras_text(model)
        entries = list(read_images_binary(model) if binary else read_images_text(model))
    except PosedImagesError:
        raise
    except (struct.error, IndexError, ValueError) as error:  # undecodable names as well
        raise PosedImagesError(f"{model}: a file ends too early or is corrupt ({error})") from None
    entries.sort(key=lambda entry: entry[0])
    missing = {camera for _, camera, _, _ in entries} - cameras.keys()
    if missing:
        raise PosedImagesError(f"{model}: images of cameras that are not there: {sorted(missing)}")
    posed = (
        PosedImage(name, location / name, cameras[camera], pose, frame)
        for frame, (name, camera, pose, _) in enumerate(entries)
    )
    return PosedScene(
        name=plain_name(_place(folder, model)),
        images=tuple(posed),
        visibility=_shared_points([points for *_, points in entries]),
        unordered=True,
    )


def read_cameras_text(model: Path) -> dict[int, Camera]:
    """Cameras by number, of `cameras.txt`."""
    path, cameras = model / "cameras.txt", {}
    for place, line in numbered_lines(path):
        words = line.split()
        where = f"{place}, camera {shown(words[0])}"
        if len(words) < 4 or words[1] not in _COUNTS:
            model_name = shown(" ".join(words[1:2]))
            raise PosedImagesError(f"{where}: unknown camera model {model_name!r}")
        size = numbers(words[2:4], 2, where)
        values = numbers(words[4:], _COUNTS[words[1]], where)
        identity = _whole(words[0], where)
        cameras[identity] = _camera(words[1], (int(size[0]), int(size[1])), values, where)
    return cameras


def read_cameras_binary(model: Path) -> dict[int, Camera]:
    """Cameras by number, of `cameras.bin`."""
    path = model / "cameras.bin"
    data, offset, cameras = path.read_bytes(), 8, {}
    for _ in range(struct.unpack_from("<Q", data)[0]):
        identity, kind, width, height = struct.unpack_from("<iiQQ", data, offset)
        where = f"{path}, camera {identity}"
        if kind not in _MODELS:
            raise PosedImagesError(f"{where}: unknown camera model number {kind}")
        name, count = _MODELS[kind]
        values = np.array(struct.unpack_from(f"<{count}d", data, offset + 24))
        offset += 24 + 8 * count
        cameras[identity] = _camera(name, (width, height), values, where)
    return cameras


def read_images_text(model: Path) -> Iterator[_Entry]:
    """Images of `images.txt`: two lines each, of which the second may be empty."""
    path = model / "images.txt"
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PosedImagesError(f"{path}: cannot be read ({error})") from None
    numbered = ((number, line.strip()) for number, line in enumerate(lines, 1))
    kept = [(number, line) for number, line in numbered if not line.startswith("#")]
    position = 0
    while position < len(kept):
        number, line = kept[position]
        words = line.split(maxsplit=9)
        if not words:
            position += 1
            continue
        where = f"{path}, line {number}, image {shown(words[-1])}"
        if len(words) < 10:
            raise PosedImagesError(f"{where}: ten entries are expected, not {len(words)}")
        values = numbers(words[1:8], 7, where)
        points = _points(kept[position + 1][1], where) if position + 1 < len(kept) else _NO_POINTS
        yield words[9], _whole(words[8], where), _pose(values, where), points
        position += 2


def _points(line: str, where: str) -> Points:
    """Of the second line of an image: x, y and the point's number or -1, again and again."""
    words = line.split()
    try:
        if len(words) % 3:
            raise ValueError
        for word in words:
            float(word)
        points = np.array([int(word) for word in words[2::3]], np.int64)
    except (ValueError, OverflowError):
        raise PosedImagesError(
            f"{where}: each image has two lines, and the one below this is no list of points "
            "(x, y, number of the point); without points it is an empty line"
        ) from None
    return np.unique(points[points >= 0])


def read_images_binary(model: Path) -> Iterator[_Entry]:
    """Images of `images.bin`."""
    data, offset = (model / "images.bin").read_bytes(), 8
    kind = np.dtype([("xy", "<f8", 2), ("point", "<i8")])
    for _ in range(struct.unpack_from("<Q", data)[0]):
        _, *values, camera = struct.unpack_from("<i7di", data, offset)
        end = data.index(b"\0", offset + 64)
        name = data[offset + 64 : end].decode()
        (count,) = struct.unpack_from("<Q", data, end + 1)
        if len(data) < end + 9 + count * kind.itemsize:
            raise IndexError(f"image {name}")
        points = np.frombuffer(data, kind, count, end + 9)["point"]
        offset = end + 9 + count * kind.itemsize
        pose = _pose(np.array(values), f"{model / 'images.bin'}, image {shown(name)}")
        yield name, camera, pose, np.unique(points[points >= 0])


def _camera(name: str, size: tuple[int, int], values: NDArray[np.float64], where: str) -> Camera:
    if name not in _DISTORTIONS:
        raise PosedImagesError(
            f"{where}: the model {name} is not supported; undistort the images with COLMAP first"
        )
    single, model, order = _DISTORTIONS[name]
    parameters = values.tolist()
    if single:
        parameters.insert(0, parameters[0])
    fx, fy, cx, cy, *rest = parameters
    k = np.array([[fx, 0.0, cx - 0.5], [0.0, fy, cy - 0.5], [0.0, 0.0, 1.0]])
    try:
        return Camera(k, model, np.array(order(rest)), *size)
    except CameraError as error:
        raise PosedImagesError(f"{where}: {error}") from None


def _pose(values: NDArray[np.float64], where: str) -> Pose:
    check_quaternion(values[:4], where)
    if not np.isfinite(values).all():
        raise PosedImagesError(f"{where}: a translation that is not finite")
    return Pose(rotation_from_quaternion(values[:4]), values[4:7])


def _whole(word: str, where: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise PosedImagesError(f"{where}: {shown(word)!r} is no whole number") from None


def _image_folder(folder: Path, model: Path) -> Path:
    above = [folder, *model.resolve().parents[:3]]
    for place in above:
        if (place / "images").is_dir():
            return place / "images"
    return model


def _place(folder: Path, model: Path) -> str:
    """Name of the scene: the folder's, or the first one above that is no part of the layout."""
    for place in (folder.resolve(), *model.resolve().parents):
        if place.name not in ("sparse", "colmap", "") and not place.name.isdigit():
            return place.name
    return "colmap"


def _shared_points(seen: list[Points]) -> NDArray[np.float32] | None:
    """`(n, n)` share of the points of the image with fewer that both see; None without points."""
    if not any(len(points) for points in seen):
        return None
    if len(seen) > _MOST_IMAGES:
        raise PosedImagesError(
            f"{len(seen)} images, more than {_MOST_IMAGES}: which see the same points cannot be "
            "held in memory; split the model"
        )
    everything, indices = np.unique(np.concatenate(seen), return_inverse=True)
    counts = np.array([len(points) for points in seen])
    owners = np.repeat(np.arange(len(seen)), counts)
    shares = np.zeros((len(seen), len(seen)), np.float32)
    mask = np.zeros(len(everything), bool)
    for image, count in enumerate(counts):
        own = indices[owners == image]
        mask[own] = True
        shared = np.bincount(owners[mask[indices]], minlength=len(seen))
        shares[image] = shared / np.maximum(np.minimum(count, counts), 1)
        mask[own] = False
    return shares
