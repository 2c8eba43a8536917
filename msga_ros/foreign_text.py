"""Text from outside: of files, whoever saved them, and in messages of ours."""

from __future__ import annotations

import codecs
from pathlib import Path

MOST_CHARACTERS = 200


def shown(text: object, most: int = MOST_CHARACTERS) -> str:
    """`text` in one line of at most `most` characters, so that no input floods a log.

    Blanks and line breaks become one blank, characters that do not print are escaped, and what is
    cut off is marked by "...".
    """
    whole = str(text)[: 4 * most]  # enough: what is behind is cut off below in any case
    cut = len(str(text)) > len(whole)
    line = " ".join(whole.split())
    line = "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)
    return f"{line[: most - 3]}..." if cut or len(line) > most else line


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in what its byte order mark says, without the mark.

    Raises `OSError`, or `UnicodeDecodeError`.
    """
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")
