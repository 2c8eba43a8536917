"""New HDF5 files that a full disk does not harm.

The HDF5 library cannot close a file whose last blocks cannot be written, and ends the process when
it is unloaded. So it writes through a file object that never fails to it: the first error is kept,
nothing more is written, and the error is raised when the library is done with the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py

from msga_ros.whole_files import whole_file


class _Disk(io.FileIO):
    """A file whose writes do not fail; `error`: the first one that did."""

    error: OSError | None = None

    def write(self, data: object) -> int:  # type: ignore[override]
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        size = len(view)
        try:
            while self.error is None and view:
                view = view[super().write(view) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size) if self.error is None else size or 0
        except OSError as error:
            self.error = error
            return size or 0


@dataclass(frozen=True)
class NewHDF5:
    """`file`: open for writing. Call `check` between larger pieces: it raises a kept error."""

    file: h5py.File
    _disk: _Disk

    def check(self) -> None:
        """Raise the `OSError` of what could not be written so far."""
        if self._disk.error is not None:
            raise self._disk.error


@contextmanager
def new_hdf5(path: Path, libver: tuple[str, str] | None = None) -> Iterator[NewHDF5]:
    """An HDF5 file that is at `path` once the block has ended well, else nothing is.

    Raises `OSError` with the name of the file where it cannot be written.
    """
    with whole_file(path) as temporary, _Disk(temporary, "w+b") as disk:
        try:
            with h5py.File(disk, "w", libver=libver) as file:
                made = NewHDF5(file, disk)
                yield made
        except Exception as error:  # HDF5 may fail over what is not on the disk
            if disk.error is not None and error is not disk.error:
                raise disk.error from error
            raise
        made.check()
