"""YFCC100M and SUN3D as published for learned outlier removal: lists of images and calibrations.

Layout: Yi et al., "Learning to find good correspondences", CVPR 2018, and Zhang et al., "OANet",
ICCV 2019. A folder (`reichstag/test`) holds `images.txt`, `calibration.txt` and `visibility.txt`,
each one path a line, in the same order. A calibration is an HDF5 file with `K`, `R`, `T` (world to
camera) and `imsize`; its principal point is the *offset from the centre of the image*, which is at
((width - 1) / 2, (height - 1) / 2). A visibility file is one row of a matrix: the number of points
that the image shares with every other one (YFCC100M), or the share of them (SUN3D).
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.posed.base import (
    PosedImage,
    PosedImagesError,
    PosedScene,
    plain_name,
    read_lines,
)
from msga_ros.foreign_text import read_text
from msga_ros.frontend.image_header import image_file_size
from msga_ros.geometry.camera import Camera, CameraError
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import checked_rotation

_SPLITS = ("train", "val", "test")


def is_scene(folder: Path) -> bool:
    """Whether the folder looks like one of these."""
    return (folder / "calibration.txt").is_file() and (folder / "images.txt").is_file()


def read(folder: Path) -> PosedScene:
    """The scene; `visibility.txt` may be missing."""
    paths = [folder / line for line in read_lines(folder / "images.txt")]
    calibrations = [folder / line for line in read_lines(folder / "calibration.txt")]
    if len(paths) != len(calibrations):
        raise PosedImagesError(
            f"{folder}: {len(paths)} images and {len(calibrations)} calibrations are listed"
        )
    posed = (
        PosedImage(str(path.relative_to(folder)), path, *_geometry(calibration, path), frame)
        for frame, (path, calibration) in enumerate(zip(paths, calibrations, strict=True))
    )
    place = folder.resolve()
    split = f"{place.parent.name}-{place.name}" if place.name in _SPLITS else place.name
    return PosedScene(
        name=plain_name(split),
        images=tuple(posed),
        visibility=_visibility(folder, len(paths)),
        unordered=True,
    )


def _geometry(path: Path, image: Path) -> tuple[Camera, Pose]:
    try:
        with h5py.File(path, "r") as file:
            k, rotation, translation, stated = (
                np.asarray(file[name], np.float64) for name in ("K", "R", "T", "imsize")
            )
        width, height = image_file_size(image) or (int(stated.ravel()[0]), int(stated.ravel()[1]))
        if sorted((width, height)) != sorted(stated.ravel()[:2].astype(int).tolist()):
            raise PosedImagesError(
                f"{image} is {width}x{height}, but its calibration is of {stated.ravel()[:2]}"
            )
        k = k.reshape(3, 3).copy()
        k[:2, 2] += ((width - 1) / 2, (height - 1) / 2)
        pose = Pose(checked_rotation(rotation.reshape(3, 3)), translation.reshape(3))
        return Camera(k, width=width, height=height), pose
    except PosedImagesError:
        raise
    except CameraError as error:
        raise PosedImagesError(f"{path}: {error}") from None
    except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
        raise PosedImagesError(f"{path}: not a calibration ({error})") from None


def _visibility(folder: Path, count: int) -> NDArray[np.float32] | None:
    listing = folder / "visibility.txt"
    if not listing.is_file():
        return None
    rows = []
    for line in read_lines(listing):
        try:
            rows.append(np.array(read_text(folder / line).split(), np.float32))
        except (OSError, ValueError) as error:
            raise PosedImagesError(f"{folder / line}: not a list of numbers ({error})") from None
    if len(rows) != count or any(len(row) != count for row in rows):
        raise PosedImagesError(f"{listing}: {count} lists of {count} numbers are expected")
    return np.array(rows, np.float32)
