"""Why messages that arrive make up no sets: in the same words by the node and by `msga bag`."""

from __future__ import annotations

from collections.abc import Mapping

STAMPS_DISAGREE = "all of them arrive, but their stamps do not agree: see sync.slop"


def advice(
    received: Mapping[str, int], standing: Mapping[str, int], topics: Mapping[str, str]
) -> list[str]:
    """What is known to be wrong, in lines; by input name.

    `received`: messages of each input since the last set. `standing`: of those whose stamps stand
    still, where (ns). `topics`: of the inputs.
    """
    if standing:
        lines = []
        for stamp in sorted(set(standing.values())):
            names = [topics[name] for name, one in standing.items() if one == stamp]
            does = "leaves header.stamp empty" if stamp == 0 else "repeats header.stamp"
            lines.append(
                f"{', '.join(dict.fromkeys(names))}: the stamps do not advance "
                f"({stamp_text(stamp)}): the driver {does}"
            )
        return lines
    return [STAMPS_DISAGREE] if all(received.get(name) for name in topics) else []


def stamp_text(stamp: int) -> str:
    """Nanoseconds as seconds with all their digits."""
    return f"{stamp // 10**9}.{stamp % 10**9:09d}"
