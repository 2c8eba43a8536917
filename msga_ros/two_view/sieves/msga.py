"""MSGA-Net as a sieve, by torch or by ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from msga_ros.configuration.yaml_dataclass import require

if TYPE_CHECKING:
    from msga_ros.network import MSGANet
    from msga_ros.network.match_scores import MatchScores, Network
    from msga_ros.two_view.config import PipelineConfig
    from msga_ros.two_view.stages import NormalisedMatches


@dataclass(frozen=True)
class NetworkConfig:
    """Putative matches to inlier probabilities."""

    weights: str = ""  # set in the package or path; empty: msga_net on a GPU, else msga_net_lite
    device: str = "auto"  # auto (CUDA where there is one), cpu, cuda or cuda:N
    inlier_threshold: float = 1e-4  # squared symmetric epipolar distance, normalised coordinates
    score_threshold: float = 0.0  # logit above which a match goes to the refinement of the pose

    def __post_init__(self) -> None:
        require(self.inlier_threshold > 0, "network.inlier_threshold must be positive")


class MSGASieve:
    """`network` (in evaluation mode, on the CPU) on the device that `config` names.

    Raises `ConfigError` for a device that is none.
    """

    def __init__(self, network: MSGANet | Network, config: NetworkConfig, source: str = "") -> None:
        # Torch takes seconds to import; who only reads a configuration need not wait.
        from msga_ros.network.inference import Inference

        self._inference = Inference(network, config.device)
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
        evidence = matches.evidence
        if evidence is not None:  # an unknown ratio and mutual check: as one that says nothing
            evidence = evidence.copy()
            evidence[:, :2] = np.where(np.isnan(evidence[:, :2]), (1.0, 0.0), evidence[:, :2])
        return self._inference(matches.correspondences, matches.valid, evidence)

    def reconfigured(self, config: PipelineConfig) -> MSGASieve:
        return self  # its thresholds are applied to the scores, by whoever asked for them


def create(config: PipelineConfig) -> MSGASieve:
    """The sieve `msga`."""
    return MSGASieve.load(config.network)
