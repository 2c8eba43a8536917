"""Why messages that arrive make up no sets: in the same words by the node and by `msga bag`."""

from __future__ import annotations

from collections.abc import Mapping

_NEARLY_NS = 1_000_000_000
STAMPS_DISAGREE = "all of them arrive, but their stamps do not agree: see sync.slop"


def advice(
    received: Mapping[str, int],
    newest: Mapping[str, int],
    standing: Mapping[str, int],
    topics: Mapping[str, str],
) -> list[str]:
    """What is known to be wrong, in lines; by input name.

    `received`: messages of each input since the last set. `newest`: stamps (ns). `standing`: of
    the inputs whose stamps stand still, where (ns). `topics`: of the inputs.
    """
    lines = []
    for stamp in sorted(set(standing.values())):
        names = [topics[name] for name, one in standing.items() if one == stamp]
        does = "leaves header.stamp empty" if stamp == 0 else "repeats header.stamp"
        lines.append(
            f"{', '.join(dict.fromkeys(names))}: the stamps do not advance "
            f"({stamp_text(stamp)}): the driver {does}"
        )
    # Stamps that stand still are worth a tolerance only where they are nearly the same.
    apart = max(newest.values(), default=0) - min(newest.values(), default=0)
    if all(received.get(name) for name in topics) and (not standing or 0 < apart < _NEARLY_NS):
        lines.append(STAMPS_DISAGREE)
    return lines


def stamp_text(stamp: int) -> str:
    """Nanoseconds as seconds with all their digits."""
    return f"{stamp // 10**9}.{stamp % 10**9:09d}"
