"""LightGlue and its smaller kin: attention between the features of both images.

Lindenberger, Sarlin and Pollefeys, "LightGlue: local feature matching at light speed", ICCV 2023.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msga_ros.devices.fallback import DeviceFallback, NetworkOnDevice, same_device
from msga_ros.frontend.base import Features, FrontendError, Matches
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.device_matching import DeviceDescriptors
from msga_ros.frontend.learned import PlacedModule
from msga_ros.frontend.learned_weights import fill, kornia_class, load_weights


class GlueMatcher(NetworkOnDevice):
    """A network of the LightGlue family on its device; `width`: of the descriptors it takes."""

    def __init__(
        self, name: str, config: FrontendConfig, network: DeviceFallback[PlacedModule], width: int
    ) -> None:
        self.name = name
        self._config = config
        self._network = network
        self._width = width

    @classmethod
    def load(
        cls, name: str, config: FrontendConfig, weights: tuple[str, str], width: int, **entries: Any
    ) -> GlueMatcher:
        """With the weights of (package, file); `entries`: of kornia's `LightGlue`.

        Raises `FrontendError` without the extra `learned`, `ConfigError` for an unknown device.
        """
        what = f"the matcher {name}"
        network = kornia_class("LightGlue", what)(None, input_dim=width, **entries)
        fill(network, _renamed(load_weights(*weights, what)), what)
        on_cpu = PlacedModule(network, torch.device("cpu"))
        where = DeviceFallback(what, on_cpu, _on, config.device, "frontend.device")
        return cls(name, config, where, width)

    def match(self, features0: Features, features1: Features) -> Matches:
        """Matches with the network's `confidence`; `frontend.max_matches` keeps the surest."""
        for features in (features0, features1):
            if features.descriptors.shape[1:] != (self._width,):
                raise FrontendError(
                    f"matcher {self.name} takes descriptors of {self._width} numbers, "
                    f"not of shape {features.descriptors.shape[1:]}"
                )
        pairs: NDArray[np.int64] = np.empty((0, 2), np.int64)
        confidence: NDArray[np.float32] = np.empty(0, np.float32)
        if len(features0) and len(features1):
            pairs, confidence = self._network.run(lambda one: _run(one, features0, features1))
        most = self._config.max_matches
        if 0 < most < len(pairs):
            kept = np.sort(np.argsort(-confidence, kind="stable")[:most])
            pairs, confidence = pairs[kept], confidence[kept]
        indices0, indices1 = pairs[:, 0], pairs[:, 1]
        return Matches(
            features0.keypoints[indices0],
            features1.keypoints[indices1],
            indices0,
            indices1,
            confidence=confidence,
            independent=False,
        )

    def reconfigured(self, config: FrontendConfig) -> GlueMatcher:
        return GlueMatcher(self.name, config, self._network, self._width)


@torch.inference_mode()
def _run(
    network: PlacedModule, features0: Features, features1: Features
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pairs of indices (M, 2), by the first of them, and how sure the network is (M,)."""
    views = (_view(features0, network.device), _view(features1, network.device))
    with _attention(network.device):
        found = network.module({"image0": views[0], "image1": views[1]})
    pairs = found["matches"][0].cpu().numpy().astype(np.int64)
    confidence = found["scores"][0].float().cpu().numpy().clip(0.0, 1.0)
    order = np.argsort(pairs[:, 0], kind="stable")
    return pairs[order], confidence[order]


def _attention(device: torch.device) -> AbstractContextManager[object]:
    """On CUDA without the attention of cuDNN, which plans anew for each number of keypoints."""
    if device.type != "cuda" or not hasattr(torch.backends.cuda, "enable_cudnn_sdp"):
        return nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(
        [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    )


def _view(features: Features, device: torch.device) -> dict[str, Tensor]:
    """What LightGlue takes of an image; descriptors that are elsewhere are taken from the host."""
    kept = features.payload
    if isinstance(kept, DeviceDescriptors) and same_device(kept.device, device):
        descriptors = kept.vectors
    else:
        descriptors = torch.from_numpy(np.asarray(features.descriptors, np.float32)).to(device)
    return {
        "keypoints": torch.from_numpy(features.keypoints).to(device)[None],
        "descriptors": descriptors[None],
        "image_size": torch.tensor([features.image_size], dtype=torch.float32, device=device),
    }


def _on(network: PlacedModule, device: torch.device) -> PlacedModule:
    moved = network.on(device)
    settings: Any = moved.module.conf
    settings.mp = True  # half precision, where that is quicker
    return moved


def _renamed(weights: dict[str, Any]) -> dict[str, Any]:
    """The matcher's own entries by the names that kornia has for them."""
    renamed = {}
    for name, value in weights.items():
        if not name.startswith("extractor."):
            plain = name.removeprefix("matcher.")
            renamed[re.sub(r"^(self|cross)_attn\.(\d+)", r"transformers.\2.\1_attn", plain)] = value
    return renamed
