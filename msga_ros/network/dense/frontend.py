"""The front end `msga_dense`: matches of two images without a detector.

Where a point of the first view is in the second depends on both images, so features of one image
have no keypoints, and nothing can be tracked from view to view. What depends on one image alone is
computed once and kept with its features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from msga_ros.configuration.setting import check_ranges, setting
from msga_ros.devices.fallback import DeviceFallback, NetworkOnDevice
from msga_ros.devices.freed_memory import keep_freed_memory
from msga_ros.frontend.base import Features, FrontendError, Matches
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.images import ScaledImage, prepare
from msga_ros.frontend.learned import PlacedModule, placed
from msga_ros.frontend.tracking.flow import align_from
from msga_ros.network.checkpoint import find_weights
from msga_ros.network.checkpoint_error import CheckpointError
from msga_ros.network.dense.config import COARSE
from msga_ros.network.dense.net import DenseMatcher, ImageFeatures
from msga_ros.network.dense.turning import TurnedImage, best_turn, features_of

SIEVE = "none"  # MSGA-Net is trained on matches of keypoints: see docs/dense.md

# The evidence of MSGA-Net, where it is chosen as the sieve: what is sure counts as a descriptor's
# ratio of one half, what is not as one of one.
_RATIO_SPAN = 0.5

SUBPIXEL = ("learned", "lucas_kanade")


@dataclass(frozen=True)
class Config:
    """Settings of the front end `msga_dense`."""

    weights: str = setting(
        "", "Weights (path, or set in the package); empty: msga_dense.", at_start=True
    )
    longest: int = setting(
        640,
        "Longest side that images are matched at; less where frontend.max_image_size is less.",
        unit="px",
        minimum=64,
        maximum=4096,
    )
    subpixel: str = setting(
        "learned",
        "How a match becomes exact to a part of a pixel: learned, by the network; lucas_kanade, by "
        "alignment of the grey levels, which keeps the network's point where it fails.",
        choices=lambda: SUBPIXEL,
    )
    min_confidence: float = setting(
        0.3, "Matches that the network is less sure of are left out.", minimum=0.0, maximum=1.0
    )

    turn_below: float = setting(
        0.1,
        "Share of the first image's cells of 8 x 8 pixels below which, of those with a match that "
        "is sure, the second image is tried turned in its plane, too: twice to three times the "
        "work of such a pair. 0: never.",
        minimum=0.0,
        maximum=1.0,
    )

    def __post_init__(self) -> None:
        check_ranges(self, "frontend.msga_dense")


@dataclass(frozen=True)
class SeenImage:
    """`Features.payload` of this front end. `features`: on the device `device`; None of an image
    without contrast, in which nothing corresponds to anything."""

    scaled: ScaledImage
    features: ImageFeatures | None
    device: torch.device


class DenseFrontend(NetworkOnDevice):
    """See the module. One thread at a time."""

    name = "msga_dense"

    def __init__(self, config: FrontendConfig, network: DeviceFallback[PlacedModule]) -> None:
        assert isinstance(config.own, Config)
        self._config = config
        self._own = config.own
        self._network = network

    def extract(self, image: NDArray[np.generic]) -> Features:
        limits = [size for size in (self._own.longest, self._config.max_image_size) if size]
        scaled = prepare(image, min(limits), self._config.max_pixels)
        seen = self._network.run(partial(_seen, scaled=scaled))
        return replace(Features.without_keypoints(scaled.received_size, seen), independent=False)

    def match(self, features0: Features, features1: Features) -> Matches:
        first, second = (_payload(one) for one in (features0, features1))
        if first.features is None or second.features is None:
            return _matches(np.empty((0, 5), np.float32), first, second)
        rows = self._sure(first, second, None)
        height, width = first.scaled.pixels.shape
        if len(rows) < self._own.turn_below * (height * width / COARSE**2):
            degrees = self._network.run(partial(_best_turn, first=first, second=second))
            if degrees:
                turned = self._sure(first, second, TurnedImage.of(second.scaled.pixels, degrees))
                rows = max(rows, turned, key=lambda some: float(some[:, 4].sum()))
        return _matches(rows[: self._config.max_matches or None], first, second)

    def _sure(
        self, first: SeenImage, second: SeenImage, turned: TurnedImage | None
    ) -> NDArray[np.float32]:
        """Rows of `_found` that are sure enough and inside of both images; `turned`: the second
        image, where it is to be matched so."""
        most = self._config.max_keypoints
        rows = self._network.run(
            partial(_found, first=first, second=second, most=most, turned=turned)
        )
        rows = rows[rows[:, 4] >= self._own.min_confidence]
        if self._own.subpixel == "lucas_kanade":
            pixels1 = turned.pixels if turned else second.scaled.pixels
            rows[:, 2:4] = align_from(first.scaled.pixels, pixels1, rows[:, :2], rows[:, 2:4])
        if turned:
            rows[:, 2:4] = turned.back(rows[:, 2:4])
        return _inside(rows, first, second)

    def reconfigured(self, config: FrontendConfig) -> DenseFrontend:
        return DenseFrontend(replace(config, own=config.own or self._own), self._network)


def create(config: FrontendConfig) -> DenseFrontend:
    """The front end `msga_dense`; `FrontendError` where its weights cannot be read."""
    assert isinstance(config.own, Config)
    try:
        net = DenseMatcher.load(find_weights(config.own.weights or "msga_dense")).folded()
    except CheckpointError as error:
        raise FrontendError(f"the front end msga_dense: {error}") from error
    keep_freed_memory()
    return DenseFrontend(config, placed("the front end msga_dense", net, config.device))


@torch.inference_mode()
def _seen(network: PlacedModule, scaled: ScaledImage) -> SeenImage:
    features = None
    if scaled.pixels.min() != scaled.pixels.max():  # else nothing to see, only rounding errors
        features = features_of(_network(network), scaled.pixels, network.device)
    return SeenImage(scaled, features, network.device)


@torch.inference_mode()
def _found(
    network: PlacedModule,
    first: SeenImage,
    second: SeenImage,
    most: int,
    turned: TurnedImage | None,
) -> NDArray[np.float32]:
    """Rows (M, 5), the surest first: points in both images as they are matched, confidence."""
    both = []
    for one in (first, second):
        if one.device != network.device:  # the device has failed since
            one = _seen(network, one.scaled)
        assert one.features is not None
        both.append(one.features)
    if turned is not None:
        both[1] = features_of(_network(network), turned.pixels, network.device)
    found = _network(network).match(both[0], both[1], most)
    rows = torch.cat((found.points0, found.points1, found.confidence.unsqueeze(1)), 1)
    return rows.float().cpu().numpy()


def _network(placed_module: PlacedModule) -> DenseMatcher:
    assert isinstance(placed_module.module, DenseMatcher)
    return placed_module.module


def _payload(features: Features) -> SeenImage:
    if not isinstance(features.payload, SeenImage):
        raise FrontendError("features of another front end: msga_dense needs the images")
    return features.payload


def _best_turn(network: PlacedModule, first: SeenImage, second: SeenImage) -> float:
    pixels = first.scaled.pixels, second.scaled.pixels
    return best_turn(_network(network), *pixels, network.device)


def _inside(rows: NDArray[np.float32], first: SeenImage, second: SeenImage) -> NDArray[np.float32]:
    """Matches of what was not added to the images."""
    sizes = [one.scaled.pixels.shape[::-1] for one in (first, second)]
    limit = np.array([*sizes[0], *sizes[1]], np.float32) - 1
    points = rows[:, :4]
    return rows[((points >= 0) & (points <= limit)).all(axis=1)]


def _matches(rows: NDArray[np.float32], first: SeenImage, second: SeenImage) -> Matches:
    return Matches(
        first.scaled.to_received(rows[:, :2]).astype(np.float32),
        second.scaled.to_received(rows[:, 2:4]).astype(np.float32),
        ratio=1 - rows[:, 4] * _RATIO_SPAN,
        confidence=rows[:, 4].copy(),
        independent=False,
    )
