"""MSGA-Net as a sieve, by torch or by ONNX Runtime."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msga_ros.configuration.setting import check_ranges, setting

if TYPE_CHECKING:
    from msga_ros.network import MSGANet
    from msga_ros.network.match_scores import MatchScores, Network
    from msga_ros.two_view.config import PipelineConfig
    from msga_ros.two_view.stages import NormalisedMatches


@dataclass(frozen=True)
class NetworkConfig:
    """Putative matches to inlier probabilities."""

    weights: str = setting(
        "",
        "Weights: a set in the package (msga_net, msga_net_lite, ...) or the path of a checkpoint "
        "(.safetensors, .pth, or .onnx of msga export); empty: msga_net on a GPU, msga_net_lite on "
        "a CPU.",
        at_start=True,
    )
    device: str = setting(
        "auto", "auto (CUDA where there is one), cpu, cuda or cuda:N.", at_start=True
    )
    fused: str = setting(
        "auto",
        "On CUDA: auto (by fused kernels where card and network allow it, as the log says; else "
        "layer by layer) or off (layer by layer).",
        choices=lambda: ("auto", "off"),
        at_start=True,
    )
    inlier_threshold: float = setting(
        1e-4,
        "A match is an inlier of the network below this squared symmetric epipolar distance, "
        "normalised coordinates.",
        minimum=1e-10,
        maximum=1e6,
    )
    score_threshold: float = setting(
        0.0,
        "A match with a higher score (logit) goes to the refinement of the pose.",
        minimum=-1e6,
        maximum=1e6,
    )

    def __post_init__(self) -> None:
        check_ranges(self, "network")


class MSGASieve:
    """`network` (in evaluation mode, on the CPU) on the device that `config` names.

    Raises `ConfigError` for a device that is none.
    """

    def __init__(self, network: MSGANet | Network, config: NetworkConfig, source: str = "") -> None:
        # Torch takes seconds to import; who only reads a configuration need not wait.
        from msga_ros.network.inference import Inference

        self._inference = Inference(network, config.device, config.fused)
        self._inlier_threshold = config.inlier_threshold
        self.source = source

    @classmethod
    def load(cls, config: NetworkConfig) -> MSGASieve:
        """With the weights that `config` names. Raises `CheckpointError`."""
        from msga_ros.network import find_weights
        from msga_ros.network.inference import load_network

        path = find_weights(config.weights, config.device)
        return cls(load_network(path), config, path.name)

    @property
    def verifies(self) -> bool:
        """Whether the network judges every match by its solution, or only what it kept."""
        return self._inference.verifies

    @property
    def device(self) -> str:
        """Where the network runs now; it moves to the CPU when memory runs out."""
        return str(self._inference.device)

    @property
    def device_problem(self) -> str:
        """Why that is the CPU though CUDA was meant; "" where all is well."""
        return self._inference.problem

    def __call__(self, matches: NormalisedMatches) -> MatchScores:
        scores = self._inference(matches.correspondences, matches.valid, matches.evidence)
        return scores.with_verified(self._inlier_threshold) if matches.followed else scores

    def reconfigured(self, config: PipelineConfig) -> MSGASieve:
        other = copy.copy(self)  # the same network
        other._inlier_threshold = config.network.inlier_threshold
        return other


def create(config: PipelineConfig) -> MSGASieve:
    """The sieve `msga`."""
    return MSGASieve.load(config.network)
