"""Matchers: features of two images to putative matches, a file each.

A matcher is a module with `create(config: FrontendConfig) -> Matcher` (`two_view/stages.py`). It
may say what it fits: `FRONTENDS`, names of front ends (without it: all that leave the matching to
others), and `SIEVE`, the sieve that is best behind it (without it: what the front end says). Ours
are a file here and a line in `MATCHERS`; another package names its module in the entry points
`msga_ros.matchers`.
"""

from __future__ import annotations

from msga_ros.configuration.registry import Registry
from msga_ros.frontend import FRONTENDS
from msga_ros.frontend.base import FrontendError

AUTOMATIC = "auto"  # of `frontend.matcher`: the one that suits the front end best

MATCHERS = Registry(
    "matcher",
    "msga_ros.matchers",
    {name: f"{__name__}.{name}" for name in ("nearest", "lightglue", "lighterglue")},
    FrontendError,
)


def matcher_names() -> tuple[str, ...]:
    """What `frontend.matcher` may be."""
    return (AUTOMATIC, *MATCHERS.names())


def fitting_matcher(frontend: str, matcher: str = AUTOMATIC) -> str:
    """The name of the matcher behind `frontend`; "" where that one matches by itself.

    `matcher`: the one that is asked for. Raises `FrontendError`, with those that fit, where it does
    not fit the front end, and for an unknown name of either.
    """
    suited: str = getattr(FRONTENDS.load(frontend), "MATCHER", "")
    if matcher == AUTOMATIC:
        return suited
    if not suited:
        raise FrontendError(
            f"front end {frontend!r} matches by itself: frontend.matcher must be {AUTOMATIC}, "
            f"not {matcher!r}"
        )
    if not _fits(matcher, frontend):
        meant = ", ".join(MATCHERS.load(matcher).FRONTENDS)
        others = ", ".join(other for other in MATCHERS.names() if _fits(other, frontend))
        raise FrontendError(
            f"matcher {matcher!r} is for the front ends {meant}, not for {frontend!r}; "
            f"for that one there are {others}"
        )
    return matcher


def _fits(matcher: str, frontend: str) -> bool:
    meant = getattr(MATCHERS.load(matcher), "FRONTENDS", None)
    return meant is None or frontend in meant
