"""Our own collections: `scene.json` beside `images/` (see `msga_ros.datasets.sequences.folder`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.posed.base import (
    PosedImage,
    PosedImagesError,
    PosedScene,
    plain_name,
    rotation,
)
from msga_ros.foreign_text import read_text
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose


def is_scene(folder: Path) -> bool:
    """Whether the folder looks like one of these."""
    return (folder / "scene.json").is_file()


def read(folder: Path, images: Path | None = None) -> PosedScene:
    """The scene; entries without a pose are left out. `images`: instead of `folder/images`."""
    path = folder / "scene.json"
    try:
        document = json.loads(read_text(path))
        entries = list(document["images"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise PosedImagesError(f"{path}: not a list of images ({error})") from None
    location = images or folder / "images"
    posed = []
    for number, entry in enumerate(entries):
        try:
            if entry.get("R") is not None and entry.get("t") is not None:
                posed.append(_image(entry, number, location))
        except PosedImagesError as error:
            raise PosedImagesError(f"{path}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise PosedImagesError(f"{path}: images[{number}]: {reason}") from None
    timed = all(entry.get("timestamp") is not None for entry in entries)
    return PosedScene(
        name=plain_name(str(document.get("name") or folder.resolve().name)),
        images=tuple(posed),
        pairs_only=bool(document.get("pairs_only", False)),
        unordered=not (timed or document.get("temporal_order")),
    )


def _image(entry: dict[str, Any], number: int, location: Path) -> PosedImage:
    return PosedImage(
        name=str(entry["file"]),
        path=location / entry["file"],
        camera=Camera(
            np.array(entry["K"], np.float64),
            width=int(entry["width"]),
            height=int(entry["height"]),
        ),
        pose=Pose(
            rotation(np.array(entry["R"], np.float64).reshape(3, 3), f"images[{number}]: R"),
            _vector(entry["t"]),
        ),
        frame=int(entry.get("frame", number)),
        group=None if entry.get("pair") is None else int(entry["pair"]),
    )


def _vector(values: Any) -> NDArray[np.float64]:
    vector = np.array(values, np.float64).reshape(3)
    if not np.isfinite(vector).all():
        raise ValueError("t is not finite")
    return vector
