"""A model on the device that was asked for, with a fallback to the CPU."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch

from msga_ros.devices.names import AUTOMATIC, check_name

logger = logging.getLogger(__name__)

Model = TypeVar("Model")
Answer = TypeVar("Answer")


class DeviceFallback(Generic[Model]):
    """Keeps `on_cpu` and, where a GPU is meant, what `move(on_cpu, device)` makes of it.

    CUDA that was asked for and is absent, that runs out of memory or fails in any other way, is one
    logged warning, and the CPU does the work from then on, the work in hand included. Thread-safe.

    `what`: the model in words ("the network"). `entry`: of the configuration that `name`, the
    device, is from: auto, cpu, cuda or cuda:N; `ConfigError` for any other.
    """

    def __init__(
        self,
        what: str,
        on_cpu: Model,
        move: Callable[[Model, torch.device], Model],
        name: str,
        entry: str = "device",
    ) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._problem = ""
        # It stays: going back to it needs nothing from a device that has no memory left.
        self._on_cpu = on_cpu
        self._active, self._device = on_cpu, torch.device("cpu")
        # Kept until the process ends: torch asks the device when it frees recorded graphs, and
        # whether it survives the answer of a broken one depends on its version.
        self._lost: Model | None = None
        chosen, problem = choose_device(name, entry)
        if problem:
            self._explain(f"{problem}; {what} runs on the CPU")
        elif chosen.type != "cpu":
            try:
                self._active, self._device = move(on_cpu, chosen), chosen
            except RuntimeError as error:  # no memory left, or a driver that fails only now
                self._explain(f"{chosen} failed ({_line(error)}); {what} runs on the CPU")

    @property
    def device(self) -> torch.device:
        """Where the model is now."""
        return self._device

    @property
    def problem(self) -> str:
        """Why it is on the CPU though CUDA was meant; "" where all is well."""
        return self._problem

    def run(self, work: Callable[[Model], Answer]) -> Answer:
        """What `work` answers with the model, on the CPU once the device has failed."""
        model, device = self._active, self._device
        if device.type == "cpu":
            return work(model)
        try:
            return work(model)
        except RuntimeError as error:  # out of memory, or a device that is lost
            self._fall_back(device, error)
        return work(self._on_cpu)

    def _fall_back(self, device: torch.device, error: Exception) -> None:
        no_memory = isinstance(error, torch.cuda.OutOfMemoryError)
        with self._lock:
            if self._device.type != "cpu":  # else another thread has said so already
                self._explain(
                    f"{device} {'ran out of memory' if no_memory else 'failed'} ({_line(error)}); "
                    f"from now on {self._what} runs on the CPU"
                )
                if not no_memory:
                    self._lost = self._active
            self._active, self._device = self._on_cpu, torch.device("cpu")
        if no_memory:  # a broken device would only raise again
            torch.cuda.empty_cache()

    def _explain(self, problem: str) -> None:
        self._problem = problem
        logger.warning("%s", problem)


def choose_device(name: str, entry: str = "device") -> tuple[torch.device, str]:
    """The device that `name` means here, and why it is not the one asked for ("" if it is).

    `entry`: of the configuration, for messages. Raises `ConfigError` for a name that is not auto,
    cpu, cuda or cuda:N.
    """
    check_name(name, entry)
    cpu = torch.device("cpu")
    if name == AUTOMATIC:
        return torch.device("cuda") if torch.cuda.is_available() else cpu, ""
    device = torch.device(name)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            return cpu, f"{entry} is {name!r}, but there is no CUDA device"
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            return cpu, f"{entry} is {name!r}, but there are {count} CUDA devices"
    return device, ""


def same_device(one: torch.device, other: torch.device) -> bool:
    """Whether both are one device; `cuda` without a number is the first one."""
    return one.type == other.type and (one.index or 0) == (other.index or 0)


class NetworkOnDevice:
    """A stage whose network a `DeviceFallback` keeps in `_network`."""

    _network: DeviceFallback[Any]

    @property
    def device(self) -> str:
        """Where the network runs now."""
        return str(self._network.device)

    @property
    def device_problem(self) -> str:
        """Why that is the CPU though CUDA was meant; "" where all is well."""
        return self._network.problem


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
