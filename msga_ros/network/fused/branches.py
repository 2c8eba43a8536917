"""Operations that do not need each other's answers, at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

_BEFORE_OTHERS = -1  # priority: streams that nobody else takes


class Branches:
    """Streams beside the current one of a CUDA device, two for each thread; on a CPU none, and
    everything happens in turn. A recording as a CUDA graph keeps the branches."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    @contextmanager
    def forked(
        self, device: torch.device
    ) -> Iterator[Callable[[int], AbstractContextManager[object]]]:
        """Within the block `beside(0)` and `beside(1)` are contexts of two branches, whose work
        begins behind what was asked for before the block; what comes after it waits for them."""
        if device.type != "cuda":
            yield lambda branch: nullcontext()
            return
        streams = self._streams(device)
        current = torch.cuda.current_stream(device)
        for stream in streams:
            stream.wait_stream(current)
        yield lambda branch: torch.cuda.stream(streams[branch])
        for stream in streams:
            current.wait_stream(stream)

    def _streams(self, device: torch.device) -> list[torch.cuda.Stream]:
        streams: list[torch.cuda.Stream] | None = getattr(self._of_thread, "streams", None)
        if streams is None or streams[0].device != device:
            streams = [torch.cuda.Stream(device, priority=_BEFORE_OTHERS) for _ in range(2)]
            self._of_thread.streams = streams
        return streams
