"""The map file of a configured node, and what knows the keyframes in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.places import packaged_places
from msga_ros.loops.reports import Mapper
from msga_ros.loops.store import KeyframeStore
from msga_ros.stream.loops.session import OpenMap
from msga_ros.stream.loops.settings import LoopSettings
from msga_ros.stream.model_loading import Model
from msga_ros.whole_files import whole_file

OpensMap = Callable[[Model, LoopSettings], OpenMap]


class MapFile:
    """A `LoopMapper` over `map.file` or, where none is given, over a file that goes with it.

    Raises `VocabularyError` (a front end that has none), `StoreError` (no map, or in use),
    `MissingGtsam`, `OSError`.
    """

    def __init__(self, model: Model, settings: LoopSettings) -> None:
        places = packaged_places(settings.pipeline.frontend)
        with ExitStack() as stack:
            given = settings["map.file"].strip()
            if given:
                self._path = Path(given).expanduser()
            else:
                folder = tempfile.TemporaryDirectory(prefix="msga_loops_")
                self._path = Path(stack.enter_context(folder)) / "keyframes"
            in_memory = settings["map.in_memory"]
            self._store = stack.enter_context(KeyframeStore(self._path, in_memory))
            self._mapper = LoopMapper(self._store, model.pipeline, places, settings.loops)
            self._held = stack.pop_all()

    @property
    def mapper(self) -> Mapper:
        """What knows its keyframes."""
        return self._mapper

    def save(self, path: Path) -> int:
        """Copy the map to a file of this name; how many keyframes. Raises `OSError`.

        By whoever adds keyframes: the file is only ever written at its end.
        """
        if path.exists() and path.samefile(self._path):
            raise FileExistsError(f"{path} is the map itself, where all is kept already")
        with whole_file(path) as temporary:
            shutil.copyfile(self._path, temporary)
        return len(self._store)

    def close(self) -> None:
        """Give the file back; all that was accepted lies in it."""
        self._held.close()
