"""Sieves: what tells true matches from false ones, a file each.

A sieve is a module with `create(config: PipelineConfig) -> Sieve` (`two_view/stages.py`) and, where
it has settings of its own, a frozen dataclass `Config` of them: they are given as
`sieve.NAME.ENTRY` and come as `config.sieve.own`. Ours are a file here and a line in `SIEVES`;
another package names its module in the entry points `msga_ros.sieves`.
"""

from __future__ import annotations

from msga_ros.configuration.registry import Registry

AUTOMATIC = "auto"  # of `sieve.name`: the one that is best behind the front end and its matcher
DEFAULT_SIEVE = "msga"  # where neither of them says which


class SieveError(ValueError):
    """An unknown sieve, or one that cannot be made; the message says which and why."""


SIEVES = Registry(
    "sieve",
    "msga_ros.sieves",
    {name: f"{__name__}.{name}" for name in ("msga", "none")},
    SieveError,
)


def sieve_names() -> tuple[str, ...]:
    """What `sieve.name` may be."""
    return (AUTOMATIC, *SIEVES.names())
