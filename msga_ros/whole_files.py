"""Files that are there as a whole or not at all: on a full disk, at a kill, at any error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A place to write to, beside `path`, that becomes `path` where the block ends well.

    Otherwise it is removed, and what was at `path` before stays. An `OSError` of the block that
    names no file is raised again with the name of `path`.
    """
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with named(path):
            yield temporary
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file at once; text in UTF-8. `OSError` with the file's name."""
    data = content.encode() if isinstance(content, str) else content
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def append_whole(path: str | Path, content: str) -> None:
    """Add text, in UTF-8, to the end of a file, or nothing. `OSError` with the file's name."""
    data = memoryview(content.encode())
    with named(Path(path)), Path(path).open("ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            while data:
                data = data[file.write(data) :]
        except OSError:
            file.truncate(end)
            raise


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Gives an `OSError` that names no file, as at a full disk, the name of `path`."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
