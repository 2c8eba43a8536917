"""Folders of posed photographs: `scene.json` beside `images/`.

`scene.json` holds `images`, a list of entries with `file`, `width`, `height`, `K` (3, 3), `R`, `t`
(world to camera, `x_cam = R X + t`), `timestamp` (seconds or null) and, for stereo, `cam`
(`left`/`right` or `cam0`/`cam1`) with the number of the `frame`. Images are undistorted pinholes.
With depth: `depth` of an entry names a picture of 16 bits in `depth/`, registered to the image, in
multiples of 1 / `depth_scale` metres (of `scene.json`; 1000 unless it says so), 0 for none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame, SequenceError
from msga_ros.datasets.sequences.depth_picture import read_depth
from msga_ros.foreign_text import read_text
from msga_ros.frontend.pictures import PictureError, read_picture
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import checked_rotation

_SIDES = {None: LEFT, "left": LEFT, "cam0": LEFT, "right": RIGHT, "cam1": RIGHT}
_USUAL_RATE = 10.0  # Hz, for folders without timestamps


@dataclass(frozen=True)
class _Photograph:
    path: Path
    side: str
    frame: int
    stamp: float | None
    camera: Camera
    pose: Pose | None
    depth_path: Path | None = None

    def load_depth(self, unit: float) -> NDArray[np.float32]:
        assert self.depth_path is not None
        return read_depth(self.depth_path, unit, (self.camera.width, self.camera.height))

    def load(self) -> NDArray[np.uint8]:
        try:
            image = read_picture(self.path)
        except OSError as error:
            raise SequenceError(f"{self.path}: not a readable image: {error.strerror}") from None
        except PictureError as error:
            raise SequenceError(str(error)) from None
        size = (image.shape[1], image.shape[0])
        expected = (self.camera.width, self.camera.height)
        if size != expected:
            raise SequenceError(f"{self.path}: is {size}, scene.json says {expected}")
        return image


class FolderSequence:
    """The frames of one folder, in order of time; images are read when a frame is asked for.

    `stereo=True` takes the frames with a left and a right view, `stereo=False` the left (or only)
    camera, `depth=True` its depth images as well. Raises `SequenceError` where the folder cannot
    give that.
    """

    def __init__(self, folder: str | Path, stereo: bool, depth: bool = False) -> None:
        self.folder = Path(folder)
        description = _read_description(self.folder)
        photographs = _photographs(self.folder, description)
        if stereo:
            self._frames = _stereo_frames(photographs)
            problem = "has no frame with a left and a right view"
        else:
            self._frames = [{LEFT: photo} for photo in photographs if photo.side == LEFT]
            problem = "has no image"
            if description.get("pairs_only") and len(self._frames) > 1:
                raise SequenceError(f"{self.folder}: its images may only be paired left with right")
        if depth and not all(frame[LEFT].depth_path for frame in self._frames):
            raise SequenceError(f"{self.folder}: not every image has a depth image")
        self._depth_unit = 1.0 / _depth_scale(self.folder, description) if depth else 0.0
        self._depth = depth
        if not self._frames:
            raise SequenceError(f"{self.folder}: {problem}")
        if all(frame[LEFT].stamp is not None for frame in self._frames):
            self._frames.sort(key=lambda frame: frame[LEFT].stamp or 0.0)
        self._stereo = stereo

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def rate(self) -> float:
        stamps = [frame[LEFT].stamp for frame in self._frames]
        known = np.array([stamp for stamp in stamps if stamp is not None])
        if len(known) < len(stamps) or len(known) < 2:
            return _USUAL_RATE
        interval = float(np.median(np.diff(known)))
        return 1.0 / interval if interval > 0 else _USUAL_RATE

    @property
    def cameras(self) -> tuple[str, ...]:
        return (LEFT, RIGHT) if self._stereo else (LEFT,)

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Frame:
        views = self._frames[index]
        stamp = views[LEFT].stamp
        poses = {side: photo.pose for side, photo in views.items() if photo.pose is not None}
        return Frame(
            stamp=index / self.rate if stamp is None else stamp,
            images={side: photo.load() for side, photo in views.items()},
            cameras={side: photo.camera for side, photo in views.items()},
            poses=poses if len(poses) == len(views) else None,
            depth=views[LEFT].load_depth(self._depth_unit) if self._depth else None,
        )


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / "scene.json"
    try:
        description = json.loads(read_text(path))
    except FileNotFoundError:
        raise SequenceError(f"{folder}: there is no scene.json in it") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SequenceError(f"{path}: cannot be read: {error}") from None
    if not isinstance(description, dict) or not isinstance(description.get("images"), list):
        raise SequenceError(f"{path}: an object with a list 'images' is expected")
    return description


def _depth_scale(folder: Path, description: dict[str, Any]) -> float:
    scale = description.get("depth_scale", 1000)
    if not isinstance(scale, int | float) or not 0 < scale < math.inf:
        raise SequenceError(f"{folder / 'scene.json'}: depth_scale is {scale!r}, not a number > 0")
    return float(scale)


def _photographs(folder: Path, description: dict[str, Any]) -> list[_Photograph]:
    photographs = []
    for number, entry in enumerate(description["images"]):
        try:
            camera = Camera(
                k=np.array(entry["K"], np.float64),
                width=entry["width"],
                height=entry["height"],
            )
            pose = None
            if entry.get("R") is not None and entry.get("t") is not None:
                rotation = checked_rotation(entry["R"])
                pose = Pose(rotation, np.array(entry["t"], np.float64).reshape(3))
            stamp = entry.get("timestamp")
            photographs.append(
                _Photograph(
                    path=folder / "images" / entry["file"],
                    side=_SIDES[entry.get("cam")],
                    frame=int(entry.get("frame", number)),
                    stamp=None if stamp is None else float(stamp),
                    camera=camera,
                    pose=pose,
                    depth_path=folder / "depth" / entry["depth"] if entry.get("depth") else None,
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            message = f"{folder / 'scene.json'}: images[{number}]: {type(error).__name__}: {error}"
            raise SequenceError(message) from None
    return photographs


def _stereo_frames(photographs: list[_Photograph]) -> list[dict[str, _Photograph]]:
    frames: dict[int, dict[str, _Photograph]] = {}
    for photo in photographs:
        frames.setdefault(photo.frame, {})[photo.side] = photo
    return [views for _, views in sorted(frames.items()) if set(views) == {LEFT, RIGHT}]
