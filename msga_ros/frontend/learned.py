"""A front end around a network that detects and describes: what XFeat, DISK and ALIKED share."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from msga_ros.devices.fallback import DeviceFallback, NetworkOnDevice
from msga_ros.frontend.base import Features
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.device_matching import DeviceDescriptors
from msga_ros.frontend.images import ScaledImage, prepare, prepare_colour

_MULTIPLE = 32  # of which width and height are, as the networks see an image; at least twice that


@dataclass(frozen=True)
class Detected:
    """What a network finds, on its device: `points` (N, 2) pixels, `scores` (N,), `descriptors`
    (N, D) of unit length."""

    points: Tensor
    scores: Tensor
    descriptors: Tensor


Detect = Callable[[Any, Tensor, int], Detected]


@dataclass(frozen=True)
class PlacedModule:
    """A network, the device that it is on, and the order in memory of the images that it takes."""

    module: torch.nn.Module
    device: torch.device
    layout: torch.memory_format = torch.preserve_format

    def on(self, device: torch.device) -> PlacedModule:
        """A copy on `device`; the layout that suits the CPU stays there."""
        module = copy.deepcopy(self.module)
        if self.layout is torch.channels_last:
            module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        return PlacedModule(module.to(device), device)


def placed(
    what: str, module: torch.nn.Module, device: str, channels_last: bool = False
) -> DeviceFallback[PlacedModule]:
    """`module` on the device that `frontend.device` names, with a way back to the CPU.

    `channels_last`: on the CPU, the channels of a pixel lie beside each other, which is quicker for
    some networks (`benchmarks/learned_speed.py`); what they find is the same but for rounding.
    """
    layout = torch.channels_last if channels_last else torch.preserve_format
    module.to(memory_format=layout)  # type: ignore[call-overload]
    on_cpu = PlacedModule(module, torch.device("cpu"), layout)
    return DeviceFallback(what, on_cpu, PlacedModule.on, device, "frontend.device")


class LearnedFrontend(NetworkOnDevice):
    """Extracts by a network on its device, where the descriptors stay for the matcher.

    `detect(module, image (1, 1 or 3, H, W) in [0, 1], most)` answers with at most about `most`
    keypoints, the strongest. `width`: length of a descriptor. `colour`: whether the network sees
    colours.
    """

    def __init__(
        self,
        name: str,
        config: FrontendConfig,
        network: DeviceFallback[PlacedModule],
        detect: Detect,
        width: int,
        colour: bool,
    ) -> None:
        self.name = name
        self._config = config
        self._network = network
        self._detect = detect
        self._width = width
        self._colour = colour

    def extract(self, image: NDArray[np.generic]) -> Features:
        limits = (self._config.max_image_size, self._config.max_pixels)
        scaled = prepare_colour(image, *limits) if self._colour else prepare(image, *limits)
        if scaled.pixels.min() == scaled.pixels.max():  # nothing to see, only rounding errors
            return self._features(scaled, _nothing(self._width))
        return self._network.run(lambda network: self._run(network, scaled))

    def reconfigured(self, config: FrontendConfig) -> LearnedFrontend:
        return LearnedFrontend(
            self.name, config, self._network, self._detect, self._width, self._colour
        )

    @torch.inference_mode()
    def _run(self, network: PlacedModule, scaled: ScaledImage) -> Features:
        # An image that is a view of a message cannot be written to, which torch complains about.
        pixels = torch.from_numpy(np.require(scaled.pixels, requirements="W")).to(network.device)
        channels = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
        padded = _padded(channels[None].float() / 255.0).to(memory_format=network.layout)
        most = self._config.max_keypoints
        found = self._detect(network.module, padded, most)
        height, width = scaled.pixels.shape[:2]
        inside = (
            (found.points >= 0) & (found.points <= found.points.new_tensor([width - 1, height - 1]))
        ).all(1)
        scores = torch.where(inside, found.scores, -torch.inf)
        order = torch.sort(scores, descending=True, stable=True).indices[
            : min(most, int(inside.sum()))
        ]
        return self._features(
            scaled, Detected(found.points[order], found.scores[order], found.descriptors[order])
        )

    def _features(self, scaled: ScaledImage, found: Detected) -> Features:
        points = found.points.cpu().numpy().astype(np.float64)
        descriptors = found.descriptors.float()
        return Features(
            scaled.to_received(points).astype(np.float32),
            found.scores.float().cpu().numpy(),
            descriptors.cpu().numpy(),
            scaled.received_size,
            payload=DeviceDescriptors.of(descriptors),
            independent=False,
        )


def _nothing(width: int) -> Detected:
    return Detected(torch.empty((0, 2)), torch.empty(0), torch.empty((0, width)))


def _padded(image: Tensor) -> Tensor:
    """`image` with its last row and column repeated: sizes that the networks need not resample."""
    height, width = image.shape[-2:]
    tall, wide = (max(2 * _MULTIPLE, -(-one // _MULTIPLE) * _MULTIPLE) for one in (height, width))
    return F.pad(image, (0, wide - width, 0, tall - height), mode="replicate")
