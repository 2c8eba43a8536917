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
from msga_ros.loops.store import KeyframeStore, StoreError
from msga_ros.stream.errors import BadInput
from msga_ros.stream.loops.session import LoadedMap, OpenMap
from msga_ros.stream.loops.settings import LoopSettings
from msga_ros.stream.model_loading import Model
from msga_ros.whole_files import whole_file

OpensMap = Callable[[Model, LoopSettings], OpenMap]


class MapFile:
    """A `LoopMapper` over `map.file` or, where none is given, over a file that goes with it.

    Raises `VocabularyError`, `FrontendError` (a front end that makes no keyframes), `StoreError`
    (no map, of another kind, or in use), `MissingGtsam`, `OSError`.
    """

    def __init__(self, model: Model, settings: LoopSettings) -> None:
        self._model, self._settings = model, settings
        self._places = packaged_places(settings.pipeline.frontend)
        self._kept = (0, 0)  # keyframes and loops that a copy holds
        with ExitStack() as stack:
            given = settings["map.file"].strip()
            self._passing = not given
            if given:
                path = Path(given).expanduser()
            else:
                folder = tempfile.TemporaryDirectory(prefix="msga_loops_")
                path = Path(stack.enter_context(folder)) / "keyframes"
            self._store, self._mapper = self._open(path, stack)
            self._path = path
            self._held = stack.pop_all()

    @property
    def mapper(self) -> Mapper:
        """What knows its keyframes."""
        return self._mapper

    @property
    def file(self) -> str:
        """Where it lies; "" where it ends with the node."""
        return "" if self._passing else str(self._path)

    @property
    def damage(self) -> tuple[str, ...]:
        """What of the file could not be read."""
        return self._store.damage

    def save(self, path: Path) -> int:
        """Copy the map to a file of this name; how many keyframes. Raises `OSError`.

        By whoever adds keyframes: the file is only ever written at its end.
        """
        if path.exists() and path.samefile(self._path):
            raise FileExistsError(f"{path} is the map itself, where all is kept already")
        self._mapper.flush()
        with whole_file(path) as temporary:
            shutil.copyfile(self._path, temporary)
        self._kept = self._size()
        return len(self._store)

    def load(self, path: Path, discard: bool) -> LoadedMap:
        """Go on with the map in `path`. By whoever adds keyframes.

        Raises `BadInput`, and the map is the one that it was.
        """
        self._check_replaced(path, discard)
        with ExitStack() as stack:
            try:
                store, mapper = self._open(path, stack)
            except (StoreError, OSError) as error:
                raise BadInput("map_file", str(error)) from None
            if not len(store):
                raise BadInput("map_file", f"{path}: no keyframe in it{_listed(store.damage)}")
            self._held.close()
            self._store, self._mapper, self._path = store, mapper, path
            self._passing, self._held = False, stack.pop_all()
        return LoadedMap(*self._size(), self._store.damage)

    def close(self) -> None:
        """Give the file back; all that was accepted lies in it."""
        self._mapper.flush()
        self._held.close()

    def _check_replaced(self, path: Path, discard: bool) -> None:
        """Whether `path` is there, and the map so far may go."""
        if not path.parent.is_dir():
            raise BadInput("path", f"there is no folder {path.parent}")
        if not path.is_file():
            raise BadInput("path", f"{path}: {'a folder' if path.exists() else 'no such file'}")
        if path.samefile(self._path):
            raise BadInput("path", f"{path} is the map that is in use")
        unsaved = self._mapper.flush()
        if unsaved:
            raise BadInput("unsaved", f"{unsaved} loops are not on the disk yet (is it full?)")
        keyframes, loops = self._size()
        if self._passing and not discard and (keyframes, loops) != self._kept and keyframes:
            raise BadInput(
                "unsaved",
                f"the map so far has {keyframes} keyframes and {loops} loops and no file of its "
                "own: save it first (save_map), or let it go (discard)",
            )

    def _open(self, path: Path, stack: ExitStack) -> tuple[KeyframeStore, LoopMapper]:
        store = stack.enter_context(KeyframeStore(path, self._settings["map.in_memory"]))
        pipeline, config = self._model.pipeline, self._settings.loops
        return store, LoopMapper(store, pipeline, self._places, config)

    def _size(self) -> tuple[int, int]:
        return len(self._store), len(self._mapper.edges)


def _listed(damage: tuple[str, ...]) -> str:
    return "".join(f"; {one}" for one in damage)
