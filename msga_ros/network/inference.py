"""The network on its device, with a way back to the CPU."""

from __future__ import annotations

import copy
import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.network import MSGANet
from msga_ros.network.cuda_graph import RecordedNetwork
from msga_ros.network.match_scores import MatchScores, Network

__all__ = ["Inference", "MatchScores", "choose_device", "load_network"]

logger = logging.getLogger(__name__)


def load_network(path: str | Path) -> MSGANet | Network:
    """The network of a checkpoint, or of an ONNX file that `msga export` wrote, on the CPU.

    Raises:
        CheckpointError: the file is missing, unreadable, or does not fit; for ONNX also where
            onnxruntime is not installed.
    """
    if Path(path).suffix == ".onnx":
        from msga_ros.network.onnx_network import OnnxNetwork

        return OnnxNetwork.load(path)
    return MSGANet.load(path)


class Inference:
    """Runs `net` (in evaluation mode, on the CPU) on `device`: auto, cpu, cuda or cuda:N.

    CUDA that was asked for and is absent, that runs out of memory or fails in any other way, is one
    logged warning, and the CPU does the work from then on, the matches in hand included.
    `ConfigError` for any other device. Thread-safe.
    """

    def __init__(self, net: MSGANet | Network, device: str) -> None:
        self._on_cpu: Network = _TorchNetwork(net) if isinstance(net, torch.nn.Module) else net
        self._lock = threading.Lock()
        self._problem = ""
        chosen, problem = choose_device(device)
        # The copy on the CPU stays: going back to it needs nothing from a device that has no memory
        # left.
        self._active = self._on_cpu
        # Page-locked memory that a broken device has used cannot be freed: the process would abort.
        self._lost: Network | None = None
        if problem:
            self._explain(f"{problem}; the network runs on the CPU")
        elif chosen.type == "cuda":
            try:
                self._active = self._on_cpu.on(chosen)
            except RuntimeError as error:  # no memory left, or a driver that fails only now
                self._explain(f"{chosen} failed ({_line(error)}); the network runs on the CPU")

    @property
    def device(self) -> torch.device:
        """Where the network runs now."""
        return self._active.device

    @property
    def verifies(self) -> bool:
        """Whether the network judges every match by its solution, or only what it kept."""
        return self._on_cpu.verifies

    @property
    def problem(self) -> str:
        """Why the network runs on the CPU though CUDA was meant; "" where all is well."""
        return self._problem

    def __call__(
        self,
        correspondences: NDArray[Any],
        valid: NDArray[np.bool_],
        evidence: NDArray[Any] | None = None,
    ) -> MatchScores:
        """Judge `correspondences` (N, 4), normalised; rows that are not `valid` (N,) are masked.

        `evidence` (N, columns) is what the descriptors say of each match, see `MSGANet.forward`.
        """
        network = self._active
        try:
            return network(correspondences, valid, evidence)
        except RuntimeError as error:  # out of memory, or a device that is lost
            if network.device.type == "cpu":
                raise
            self._fall_back(network.device, error)
        return self._on_cpu(correspondences, valid, evidence)

    def _fall_back(self, device: torch.device, error: Exception) -> None:
        no_memory = isinstance(error, torch.cuda.OutOfMemoryError)
        with self._lock:
            if self._active.device.type != "cpu":  # else another thread has said so already
                self._explain(
                    f"{device} {'ran out of memory' if no_memory else 'failed'} ({_line(error)}); "
                    "from now on the network runs on the CPU"
                )
                if not no_memory:
                    self._lost = self._active
            self._active = self._on_cpu
        if no_memory:  # a broken device would only raise again
            torch.cuda.empty_cache()

    def _explain(self, problem: str) -> None:
        self._problem = problem
        logger.warning("%s", problem)


class _TorchNetwork:
    """`Network` by torch, on the CPU."""

    def __init__(self, net: MSGANet) -> None:
        self._net = net
        self.device = torch.device("cpu")

    @property
    def verifies(self) -> bool:
        return self._net.config.verification

    def on(self, device: torch.device) -> Network:
        return _copy_on(self._net, device)

    def __call__(
        self,
        correspondences: NDArray[Any],
        valid: NDArray[np.bool_],
        evidence: NDArray[Any] | None,
    ) -> MatchScores:
        with torch.inference_mode():
            result = self._net(
                _batch_of_one(correspondences),
                torch.from_numpy(valid)[None],
                None if evidence is None else _batch_of_one(evidence),
            )
            return MatchScores(
                result.essential[0].numpy().astype(np.float64),
                result.residual[0].numpy().astype(np.float64),
                result.logits[1][0].numpy().astype(np.float64),
            )


class _CudaNetwork:
    """`Network` by recorded CUDA graphs."""

    def __init__(self, net: MSGANet, device: torch.device) -> None:
        self.device = device
        self._net = net
        self._recorded = RecordedNetwork(net, device)

    @property
    def verifies(self) -> bool:
        return self._net.config.verification

    def on(self, device: torch.device) -> Network:
        return _copy_on(self._net, device)

    def __call__(
        self,
        correspondences: NDArray[Any],
        valid: NDArray[np.bool_],
        evidence: NDArray[Any] | None,
    ) -> MatchScores:
        parts = self._recorded(correspondences, valid, evidence)
        essential, residual, score = (part.astype(np.float64) for part in parts)
        return MatchScores(essential, residual, score)


def _copy_on(net: MSGANet, device: torch.device) -> Network:
    net = copy.deepcopy(net)
    return _TorchNetwork(net.cpu()) if device.type == "cpu" else _CudaNetwork(net, device)


def choose_device(name: str) -> tuple[torch.device, str]:
    """The device that `name` means here, and why it is not the one asked for ("" if it is).

    Raises `ConfigError` for a name that is not auto, cpu, cuda or cuda:N.
    """
    cpu = torch.device("cpu")
    if name == "auto":
        return torch.device("cuda") if torch.cuda.is_available() else cpu, ""
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ConfigError(f"network.device must be auto, cpu, cuda or cuda:N, not {name!r}")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            return cpu, f"network.device is {name!r}, but there is no CUDA device"
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            return cpu, f"network.device is {name!r}, but there are {count} CUDA devices"
    return device, ""


def _batch_of_one(rows: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(rows.astype(np.float32))[None]


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
