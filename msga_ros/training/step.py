"""One step of the optimiser: loss, gradient, clipping, update; on a GPU recorded once a shape.

A step of the network is some thousand small kernels, which a GPU finishes faster than Python can
ask for them. A CUDA graph asks for all of them at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from msga_ros.training.batches import Batch
from msga_ros.training.task import TrainingBatch

_EAGER_STEPS = 3  # of a shape before it is recorded: libraries choose their kernels meanwhile


class LossOf(Protocol):
    """Network and loss: `(total, parts)` of an iteration's batch, as scalars."""

    def __call__(self, iteration: int, *tensors: Tensor) -> tuple[Tensor, dict[str, Tensor]]: ...


class Backward(Protocol):
    """What computes the gradient of a loss, such as `Fabric.backward`."""

    def __call__(self, tensor: Tensor) -> None: ...


class Step:
    """Steps of one optimiser, as they are called for."""

    def __init__(
        self,
        loss_of: LossOf,
        parameters: list[nn.Parameter],
        optimiser: torch.optim.Optimizer,
        backward: Backward,
        clip: float,
    ) -> None:
        """`clip` is the largest norm of the gradient; 0: any."""
        self._loss_of = loss_of
        self._parameters = parameters
        self._optimiser = optimiser
        self._backward = backward
        self._clip = clip or math.inf

    def __call__(self, iteration: int, batch: TrainingBatch) -> dict[str, Tensor]:
        """Scalars of this step, on the device: `total`, its parts and `gradient_norm`.

        A gradient that is not finite changes no weight by itself.
        """
        total, parts = self._loss_of(iteration, *batch.tensors())
        self._optimiser.zero_grad(set_to_none=True)
        self._backward(total)
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._clip)
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        broken = ~torch.isfinite(norm)
        for gradient in gradients:
            gradient.masked_fill_(broken, 0.0)
        self._optimiser.step()
        return {"total": total.detach(), **parts, "gradient_norm": norm.detach()}


@dataclass(frozen=True)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    batch: Batch
    figures: dict[str, Tensor]


class RecordedStep:
    """A `Step` whose work on the GPU is recorded for each shape of batch and played from then on.

    The optimiser must be capturable, its learning rate a tensor on the device.
    """

    def __init__(self, step: Step, geometry_counts_from: int) -> None:
        """The loss differs before and after the iteration `geometry_counts_from`."""
        self.eager = step  # the same without recording
        self._geometry_counts_from = geometry_counts_from
        self._done: dict[tuple[object, ...], int] = {}
        self._recorded: dict[tuple[object, ...], _Recorded] = {}
        self._stream = torch.cuda.Stream()
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, iteration: int, batch: TrainingBatch) -> dict[str, Tensor]:
        """As `Step`; the figures are of this call until the next."""
        assert isinstance(batch, Batch)
        key = (batch.valid.shape, iteration >= self._geometry_counts_from)
        recorded = self._recorded.get(key)
        if recorded is None:
            done = self._done.get(key, 0)
            if done < _EAGER_STEPS:
                self._done[key] = done + 1
                return self._apart(iteration, batch)
            recorded = self._recorded[key] = self._record(iteration, batch)
        for static, new in zip(recorded.batch.tensors(), batch.tensors(), strict=True):
            static.copy_(new)
        recorded.graph.replay()
        return recorded.figures

    def _apart(self, iteration: int, batch: Batch) -> dict[str, Tensor]:
        """An ordinary step, on the stream that recordings are made on."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            figures = self.eager(iteration, batch)
        torch.cuda.current_stream().wait_stream(self._stream)
        return figures

    def _record(self, iteration: int, batch: Batch) -> _Recorded:
        static = Batch(*(tensor.clone() for tensor in batch.tensors()))
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            figures = self.eager(iteration, static)
        return _Recorded(graph, static, figures)
