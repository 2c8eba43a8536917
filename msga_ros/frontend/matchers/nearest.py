"""Nearest neighbours in the space of the descriptors, with ratio test and mutual check.

Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, section 7.1.
"""

from __future__ import annotations

import logging

from msga_ros.frontend.base import Features, FrontendError, Matches
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.matching import Neighbours, match_features, nearest_on_host

logger = logging.getLogger(__name__)


class NearestMatcher:
    """Compares descriptors where they are: on an accelerator, or on the host."""

    def __init__(self, config: FrontendConfig) -> None:
        self._config = config

    def match(self, features0: Features, features1: Features) -> Matches:
        """Matches that `frontend.ratio`, `mutual` and `max_matches` let through."""
        if not (features0.fixed_keypoints and features1.fixed_keypoints):
            raise FrontendError("nearest neighbours need keypoints that are found in each image")
        config = self._config
        return match_features(
            features0, features1, config.ratio, config.mutual, config.max_matches, _neighbours
        )

    def reconfigured(self, config: FrontendConfig) -> NearestMatcher:
        return NearestMatcher(config)


def _neighbours(features0: Features, features1: Features) -> Neighbours:
    if features0.payload is None or features1.payload is None:
        return nearest_on_host(features0, features1)
    # Torch takes seconds to import; descriptors of OpenCV do not need it.
    from msga_ros.frontend.device_matching import DeviceDescriptors, neighbours_on_device

    first, second = features0.payload, features1.payload
    if not (isinstance(first, DeviceDescriptors) and isinstance(second, DeviceDescriptors)):
        return nearest_on_host(features0, features1)
    if "cpu" in (first.device.type, second.device.type) or first.device != second.device:
        return nearest_on_host(features0, features1)
    try:
        return neighbours_on_device(first, second)
    except RuntimeError as error:  # out of memory, or a device that is lost
        logger.warning("%s failed (%s); descriptors are compared on the CPU", first.device, error)
        return nearest_on_host(features0, features1)


def create(config: FrontendConfig) -> NearestMatcher:
    """The matcher `nearest`."""
    return NearestMatcher(config)
