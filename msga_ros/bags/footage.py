"""The images of one camera of a bag, in order, as often as one likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from msga_ros.bags.complaints import Complaints, Warn
from msga_ros.bags.errors import BagError
from msga_ros.bags.options import read_settings
from msga_ros.bags.reading import Bag
from msga_ros.bags.replay import RecordedSet, message_sets
from msga_ros.bags.summary import Tally
from msga_ros.bags.topics import choose_topics
from msga_ros.calibration.base import CalibrationError
from msga_ros.loops.reports import View
from msga_ros.stream.calibration_files import CalibrationFiles
from msga_ros.stream.cv_bridge_fallback import CvBridge
from msga_ros.stream.errors import BadInput
from msga_ros.stream.loops.views import ViewReader


class BagFootage:
    """An opened bag; `topics` by input name (`image`, `camera_info`).

    `calibration`: a file in the place of the bag's camera_info; "": none. Raises `BagError`, which
    names the topics that there are.
    """

    def __init__(self, path: Path, topics: Mapping[str, str], calibration: str, warn: Warn) -> None:
        self._settings = read_settings(None, {"mode": "temporal", "calibration": calibration})
        self._bag = Bag(path, warn)
        try:
            self._calibration = CalibrationFiles.read(self._settings)
        except CalibrationError as error:
            raise BagError(str(error)) from None
        self._topics = choose_topics("temporal", topics, self._bag.types, self._calibration.sources)
        self._complaints = Complaints(warn)
        if not len(self):
            raise BagError(f"{path}: no image with its calibration on {self._names}")

    @cached_property
    def _count(self) -> int:
        return sum(1 for _ in self._sets(lambda _: None))

    def __len__(self) -> int:
        """Images with a calibration; of these some may turn out not to be readable."""
        return self._count

    def __iter__(self) -> Iterator[View]:
        """What cannot be read is said, a few times, and left out."""
        reader = ViewReader(
            self._topics.sources, self._complaints, CvBridge(), self._calibration.infos
        )
        for one in self._sets(lambda text: self._complaints("bag", "", text)):
            try:
                yield reader.read(one.messages, None, self._settings)
            except BadInput as error:
                self._complaints(error.kind, error.topic, error.text)

    @property
    def _names(self) -> str:
        return " and ".join(self._topics.sources.values())

    def _sets(self, warn: Warn) -> Iterator[RecordedSet]:
        return message_sets(self._bag, self._topics, self._settings, Tally(), warn)
