"""Images to features, and the features of two images to putative matches.

A front end is a module with `create(config: FrontendConfig) -> Frontend` (`two_view/stages.py`)
and, where it has settings of its own, a frozen dataclass `Config` of them: they are given as
`frontend.NAME.ENTRY` and come as `config.own`. A module with `MATCHER`, the name of the matcher
that suits it best, makes an `Extractor` instead, and leaves the matching to one of `MATCHERS`
(`matchers/__init__.py`); `SIEVE`, where it is given, names the sieve that is best behind it. Ours
are a file here and a line in `FRONTENDS`; another package names its module in the entry points
`msga_ros.frontends`.
"""

from __future__ import annotations

from msga_ros.configuration.registry import Registry
from msga_ros.frontend.base import Features, FrontendError, Matches

__all__ = ["FRONTENDS", "Features", "FrontendError", "Matches"]

FRONTENDS = Registry(
    "front end",
    "msga_ros.frontends",
    {
        **{
            name: f"{__name__}.{name}"
            for name in ("sift", "fast_sift", "orb", "akaze", "tracks", "xfeat", "disk", "aliked")
        },
        "msga_dense": "msga_ros.network.dense.frontend",
    },
    FrontendError,
)
