"""The network on its device, with a way back to the CPU."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from msga_ros.devices.fallback import DeviceFallback
from msga_ros.network import CheckpointError, MSGANet
from msga_ros.network.architectures import ARCHITECTURES
from msga_ros.network.checkpoint import architecture_of
from msga_ros.network.cuda_graph import RecordedNetwork
from msga_ros.network.match_scores import MatchScores, Network

__all__ = ["Inference", "MatchScores", "load_network"]


def load_network(path: str | Path) -> MSGANet | Network:
    """The network of a checkpoint, or of an ONNX file that `msga export` wrote, on the CPU.

    Raises:
        CheckpointError: the file is missing, unreadable, does not fit, or is of an architecture
            that is not in `ARCHITECTURES`; for ONNX also where onnxruntime is not installed.
    """
    path = Path(path).expanduser()
    if path.suffix == ".onnx":
        from msga_ros.network.onnx_network import OnnxNetwork

        return OnnxNetwork.load(path)
    name = architecture_of(path)
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES.names())
        raise CheckpointError(f"{path}: unknown architecture {name!r}; there are {known}")
    network: MSGANet | Network = ARCHITECTURES.load(name).load(path)
    return network


class Inference:
    """Runs `net` (in evaluation mode, on the CPU) on `device`: auto, cpu, cuda or cuda:N.

    Goes back to the CPU where the device fails, see `DeviceFallback`. `ConfigError` for any other
    device. Thread-safe. `fused`: see `RecordedNetwork`.
    """

    def __init__(self, net: MSGANet | Network, device: str, fused: str = "auto") -> None:
        network: Network = (
            _TorchNetwork(net, torch.device("cpu"), fused)
            if isinstance(net, torch.nn.Module)
            else net
        )
        self._on_cpu = network
        self._network = DeviceFallback(
            "the network", network, lambda one, there: one.on(there), device, "network.device"
        )

    @property
    def device(self) -> torch.device:
        """Where the network runs now."""
        return self._network.device

    @property
    def verifies(self) -> bool:
        """Whether the network judges every match by its solution, or only what it kept."""
        return self._on_cpu.verifies

    @property
    def problem(self) -> str:
        """Why the network runs on the CPU though CUDA was meant; "" where all is well."""
        return self._network.problem

    def __call__(
        self,
        correspondences: NDArray[np.generic],
        valid: NDArray[np.bool_],
        evidence: NDArray[np.generic] | None = None,
    ) -> MatchScores:
        """Judge `correspondences` (N, 4), normalised; rows that are not `valid` (N,) are masked.

        `evidence` (N, columns) is what the descriptors say of each match, see `MSGANet.forward`.
        """
        return self._network.run(lambda network: network(correspondences, valid, evidence))


class _TorchNetwork:
    """`Network` by torch: on the CPU as it is, on a CUDA device by recorded graphs."""

    def __init__(self, net: MSGANet, device: torch.device, fused: str) -> None:
        self.device = device
        self._net = net
        self._fused = fused
        self._forward = (
            self._on_cpu if device.type == "cpu" else RecordedNetwork(net, device, fused=fused)
        )

    @property
    def verifies(self) -> bool:
        return self._net.config.verification

    def on(self, device: torch.device) -> Network:
        net = copy.deepcopy(self._net)
        return _TorchNetwork(net.cpu() if device.type == "cpu" else net, device, self._fused)

    def __call__(
        self,
        correspondences: NDArray[np.generic],
        valid: NDArray[np.bool_],
        evidence: NDArray[np.generic] | None,
    ) -> MatchScores:
        parts = self._forward(correspondences, valid, evidence)
        essential, residual, score = (part.astype(np.float64) for part in parts)
        return MatchScores(essential, residual, score)

    @torch.inference_mode()
    def _on_cpu(self, *columns: NDArray[np.generic] | None) -> tuple[NDArray[np.float32], ...]:
        """As `RecordedNetwork.__call__`."""
        correspondences, valid, evidence = columns
        assert correspondences is not None
        result = self._net(
            _batch_of_one(correspondences),
            torch.from_numpy(valid)[None],
            None if evidence is None else _batch_of_one(evidence),
        )
        parts = (result.essential, result.residual, result.logits[1])
        return tuple(part[0].numpy() for part in parts)


def _batch_of_one(rows: NDArray[np.generic]) -> torch.Tensor:
    return torch.from_numpy(rows.astype(np.float32))[None]
