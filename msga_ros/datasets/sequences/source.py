"""Names of sequences: `synthetic`, a folder with scene.json or of TUM RGB-D, or a video file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from msga_ros.datasets.sequences.base import Footage, Sequence, SequenceError
from msga_ros.datasets.sequences.folder import FolderSequence
from msga_ros.datasets.sequences.picture_folder import PictureFolder
from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence
from msga_ros.datasets.sequences.tum import DEPTH_SCALE, TumSequence
from msga_ros.datasets.sequences.video import VideoSequence
from msga_ros.geometry.camera import Camera

SYNTHETIC = "synthetic"


def open_sequence(
    source: str,
    stereo: bool,
    seed: int = 0,
    frames: int = 0,
    camera: Camera | None = None,
    depth: bool = False,
    depth_scale: float = 0.0,
) -> Sequence:
    """The sequence that `source` names.

    `frames` is the length of a synthetic sequence (0: its own) and `seed` its scene; `camera` is
    that of a video (None: guessed) or of a folder of TUM RGB-D (None: by its name); `depth`: with
    the depth of the left view, `depth_scale` units a metre where the folder does not say (0: the
    benchmark's). Raises `SequenceError`: nothing there, or no stereo, or depth, in it, or a camera
    or scale given for what has its own.
    """
    path = Path(source).expanduser()
    tum = (path / "rgb.txt").is_file() and not (path / "scene.json").is_file()
    if depth_scale and not tum:
        raise SequenceError(f"{source}: a scale of depth images is for folders of TUM RGB-D")
    if camera is not None and not tum and (source == SYNTHETIC or path.is_dir()):
        raise SequenceError(f"{source}: it has cameras of its own, none can be given")
    if source == SYNTHETIC:
        options = SyntheticOptions(stereo=stereo, seed=seed, depth=depth)
        return SyntheticSequence(replace(options, frames=frames) if frames > 0 else options)
    if tum and stereo:
        raise SequenceError(f"{source}: a folder of TUM RGB-D has one camera")
    if tum:
        return TumSequence(path, depth, camera, depth_scale or DEPTH_SCALE)
    if path.is_dir():
        return FolderSequence(path, stereo, depth)
    if not path.is_file():
        raise SequenceError(f"{source}: neither 'synthetic' nor a folder nor a video file")
    if stereo:
        raise SequenceError(f"{source}: a video has one camera, it cannot be played as stereo")
    if depth:
        raise SequenceError(f"{source}: a video has no depth")
    return VideoSequence(path, camera)


def open_footage(path: Path, camera: Camera | None = None) -> Footage:
    """The frames of a video or of a folder of pictures, without poses.

    `camera`: that of all frames (None: guessed). Raises `SequenceError`: neither of both.
    """
    if path.is_dir():
        return PictureFolder(path, camera)
    if path.is_file():
        return VideoSequence(path, camera)
    raise SequenceError(f"{path}: neither a video nor a folder of pictures")
