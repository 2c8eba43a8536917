"""Footage without poses on the command line: a folder of pictures, a video, or a bag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msga_ros.bags.footage import BagFootage
from msga_ros.bags.storage_files import is_bag
from msga_ros.cli.cameras import calibrated_camera
from msga_ros.cli.errors import UsageError, existing_file
from msga_ros.datasets.sequences.base import LEFT, Footage, Frame
from msga_ros.datasets.sequences.source import open_footage


class BagFrames:
    """A bag as frames of one camera."""

    def __init__(self, name: str, footage: BagFootage) -> None:
        self.name = name
        self._footage = footage

    def __len__(self) -> int:
        return len(self._footage)

    def __iter__(self) -> Iterator[Frame]:
        for view in self._footage:
            yield Frame(view.stamp, {LEFT: view.image}, {LEFT: view.camera})


def footage(
    path: Path, camera: str | None, topics: Mapping[str, str], warn: Callable[[str], None]
) -> Footage:
    """The frames at `path`.

    `camera`: `fx,fy,cx,cy` or a calibration file, of a bag only a file, and only where the bag's
    camera_info is not to be taken; `topics`: of a bag, by input name.

    Raises `SequenceError`, `BagError`, `UsageError`.
    """
    if not is_bag(path):
        if topics:
            raise UsageError(f"{path}: no bag: --topic is for bags")
        return open_footage(path, calibrated_camera(camera) if camera else None)
    calibration = ""
    if camera:
        calibration = str(existing_file(Path(camera), "calibration file for a bag"))
    return BagFrames(path.stem, BagFootage(path, topics, calibration, warn))
