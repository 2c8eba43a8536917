"""The network on a GPU as recorded graphs: one launch a pair, whatever its number of matches.

One pair of matches is some thousand kernels of a few microseconds. Asked for one by one, the
asking takes longer than the work. So the number of matches is rounded up to one of a few sizes, the
rest masked, and for each size the kernels are recorded once (a CUDA graph) and then played. What
goes to the device and comes back are two copies, from and to page-locked memory.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msga_ros.devices.page_locked import page_locked
from msga_ros.devices.precision import full_float32
from msga_ros.network.evidence import EVIDENCE
from msga_ros.network.fused import unavailable
from msga_ros.network.fused.readiness import Readiness, first_line
from msga_ros.network.net import MSGANet

if TYPE_CHECKING:
    from msga_ros.network.fused.network import FusedNetwork

logger = logging.getLogger(__name__)

SIZES = (256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192)  # of recordings, matches
_COLUMNS = 4 + len(EVIDENCE) + 1  # coordinates, evidence, 1 where valid
_SOLUTION = 9
_RECORDING = threading.Lock()  # a recording must not see another begin: that waits for the device


@dataclass(frozen=True)
class _Recording:
    """Buffers of one size and what computes one from the other."""

    graph: torch.cuda.CUDAGraph
    fused: bool  # by fused kernels
    on_host: Tensor  # (size, _COLUMNS), page-locked
    on_device: Tensor
    results: Tensor  # (9 + 2 size), on the device: essential matrix, residuals, scores
    results_on_host: Tensor  # page-locked


class RecordedNetwork:
    """`net`, folded and in evaluation mode, on a CUDA device; a thread at a time computes."""

    def __init__(
        self, net: MSGANet, device: torch.device, half: bool = False, fused: str = "auto"
    ) -> None:
        """
        Args:
            half: features in bfloat16; coordinates, graphs and solutions stay in float32.
            fused: auto (by fused kernels, where they are available) or off.
        """
        self._net = net.to(device)
        self.device = device
        self._half = half
        self._fused = self._fused_network(fused)
        self._readiness = Readiness(self._compile)
        self._recordings: dict[int, _Recording] = {}
        self._lock = threading.Lock()
        self._stream = torch.cuda.Stream(device)
        self._pool: Any = None

    @property
    def fused(self) -> bool:
        """Whether it computes by fused kernels."""
        return self._fused is not None

    def _fused_network(self, choice: str) -> FusedNetwork | None:
        reason = "half precision" if self._half else unavailable(self._net, self.device)
        if choice == "off" or reason:
            logger.info("the network runs layer by layer: %s", reason or "fused kernels are off")
            return None
        from msga_ros.network.fused.network import FusedNetwork

        logger.info("the network runs by fused kernels")
        return FusedNetwork(self._net)

    def __call__(
        self,
        correspondences: NDArray[np.generic],
        valid: NDArray[np.bool_],
        evidence: NDArray[np.generic] | None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Essential matrix (3, 3), residuals and scores (N,) of `correspondences` (N, 4) as
        `MSGANet.forward` has them.

        Raises:
            RuntimeError: the device fails, or has no memory left.
        """
        count = len(correspondences)
        with self._lock, torch.cuda.device(self.device):
            recording = self._recording(size_for(count))
            rows = recording.on_host.numpy()
            rows[:count, :4] = correspondences
            rows[:count, 4:-1] = np.nan
            if evidence is not None:
                rows[:count, 4 : 4 + evidence.shape[1]] = evidence
            rows[:count, -1] = valid
            rows[count:, -1] = 0
            with torch.cuda.stream(self._stream):
                recording.on_device.copy_(recording.on_host, non_blocking=True)
                recording.graph.replay()
                recording.results_on_host.copy_(recording.results, non_blocking=True)
            self._stream.synchronize()
            results = recording.results_on_host.numpy()
            residual, score = results[_SOLUTION:].reshape(2, -1)[:, :count].copy()
            return results[:_SOLUTION].reshape(3, 3).copy(), residual, score

    def _recording(self, size: int) -> _Recording:
        found = self._recordings.get(size)
        by_kernels = self._fused is not None and self._readiness.usable(size)
        if found is None or (by_kernels and not found.fused):
            found = self._recordings[size] = self._record(size, by_kernels)
        return found

    def prepare(self, count: int) -> None:
        """Wait for what the first pair of so many matches, and what compiles for it, would take."""
        for _ in range(2):
            with self._lock, torch.cuda.device(self.device):
                self._recording(size_for(count))
            self._readiness.wait()

    def _record(self, size: int, by_kernels: bool) -> _Recording:
        on_host = page_locked(size, _COLUMNS)
        on_host.copy_(_made_up(size))
        on_device = on_host.to(self.device)
        with _RECORDING, full_float32(), torch.inference_mode(), torch.cuda.stream(self._stream):
            by_kernels = self._warm_up(on_device, by_kernels)
            graph = torch.cuda.CUDAGraph()
            # What other threads do on the device meanwhile is no fault of the recording.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                results = self._judge(on_device, by_kernels)
        self._pool = self._pool or graph.pool()
        return _Recording(
            graph,
            by_kernels,
            on_host,
            on_device,
            results,
            page_locked(len(results)),
        )

    def _warm_up(self, rows: Tensor, by_kernels: bool) -> bool:
        """Kernels are compiled, libraries choose theirs and take their memory; whether the fused
        kernels are to be used after that."""
        if by_kernels:
            try:
                self._judge(rows, True)
                self._stream.synchronize()
                self._readiness.add(len(rows))
            except torch.cuda.OutOfMemoryError:
                raise
            except Exception as error:  # of a compiler or a driver, whatever it is
                logger.warning(
                    "fused kernels failed (%s); from now on the network runs layer by layer",
                    first_line(error),
                )
                self._fused, by_kernels = None, False
        for _ in range(2):
            self._judge(rows, by_kernels)
        self._stream.synchronize()
        return by_kernels

    def _compile(self, count: int) -> None:
        """The kernels for so many matches, while others compute."""
        stream = torch.cuda.Stream(self.device)
        with torch.cuda.device(self.device), torch.inference_mode(), torch.cuda.stream(stream):
            self._judge(_made_up(count).to(self.device), True)
            stream.synchronize()

    def _judge(self, rows: Tensor, by_kernels: bool) -> Tensor:
        matches, valid, evidence = rows[None, :, :4], rows[None, :, -1] > 0, rows[None, :, 4:-1]
        if by_kernels:
            assert self._fused is not None
            found = self._fused.judgement(matches, valid, evidence)
            return torch.cat([part.flatten() for part in found])
        with torch.autocast("cuda", torch.bfloat16, enabled=self._half, cache_enabled=False):
            result = self._net(matches, valid, evidence)
        parts = (result.essential[0].flatten(), result.residual[0], result.logits[1][0])
        return torch.cat([part.float() for part in parts])


def _made_up(size: int) -> Tensor:
    """`(size, _COLUMNS)`, to record with."""
    rows = torch.zeros(size, _COLUMNS)
    rows[:, :4] = torch.rand(size, 4) - 0.5
    rows[:, -1] = 1.0
    return rows


def size_for(count: int) -> int:
    """The size of the recording for so many matches; beyond `SIZES`, multiples of the last."""
    for size in SIZES:
        if count <= size:
            return size
    return -(-count // SIZES[-1]) * SIZES[-1]
