"""Nearest neighbours in the space of the descriptors, with ratio test and mutual check.

Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, section 7.1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from msga_ros.devices.names import check_name
from msga_ros.frontend.base import Features, FrontendError, Matches
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.matching import Neighbours, match_features, nearest_on_host

if TYPE_CHECKING:
    from msga_ros.devices.fallback import DeviceFallback

_DEVICE = "frontend.device"

Search = Callable[[Features, Features], Neighbours]


class PlacedSearch:
    """Compares descriptors on a device, with a way back to the CPU; placed when it is first asked.

    Torch takes seconds to import, and who extracts features only need not wait for it.
    """

    def __init__(self, device: str) -> None:
        """`ConfigError` for a `device` that is not auto, cpu, cuda or cuda:N."""
        check_name(device, _DEVICE)
        self._device = device

    @cached_property
    def fallback(self) -> DeviceFallback[Search] | None:
        """What decides where; None: the CPU was asked for."""
        if self._device == "cpu":
            return None
        from msga_ros.devices.fallback import DeviceFallback
        from msga_ros.frontend.device_matching import SearchOnDevice

        return DeviceFallback[Search](
            "the comparison of descriptors",
            nearest_on_host,
            lambda _, device: SearchOnDevice(device),
            self._device,
            _DEVICE,
        )

    def __call__(self, features0: Features, features1: Features) -> Neighbours:
        """As `nearest_on_host`."""
        if self.fallback is None:
            return nearest_on_host(features0, features1)
        return self.fallback.run(lambda search: search(features0, features1))


class NearestMatcher:
    """Compares descriptors on the device that `frontend.device` names, else on the host."""

    def __init__(self, config: FrontendConfig, search: PlacedSearch | None = None) -> None:
        """`ConfigError` for a device that is none."""
        self._config = config
        self._search = search or PlacedSearch(config.device)

    @property
    def device(self) -> str:
        """Where descriptors are compared now."""
        place = self._search.fallback
        return "cpu" if place is None else str(place.device)

    @property
    def device_problem(self) -> str:
        """Why that is the CPU though CUDA was meant; "" where all is well."""
        place = self._search.fallback
        return "" if place is None else place.problem

    def match(self, features0: Features, features1: Features) -> Matches:
        """Matches that `frontend.ratio`, `mutual` and `max_matches` let through."""
        if not (features0.fixed_keypoints and features1.fixed_keypoints):
            raise FrontendError("nearest neighbours need keypoints that are found in each image")
        config = self._config
        return match_features(
            features0, features1, config.ratio, config.mutual, config.max_matches, self._search
        )

    def reconfigured(self, config: FrontendConfig) -> NearestMatcher:
        return NearestMatcher(config, self._search)


def create(config: FrontendConfig) -> NearestMatcher:
    """The matcher `nearest`."""
    return NearestMatcher(config)
