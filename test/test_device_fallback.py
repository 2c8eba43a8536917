"""Whatever happens to a device: one warning, and the CPU goes on with the work in hand."""

from __future__ import annotations

import logging
import threading

import pytest
import torch

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.devices.fallback import DeviceFallback, choose_device


class Model:
    """Answers where it is; on a device that fails it raises instead."""

    def __init__(self, place: str = "cpu", error: Exception | None = None) -> None:
        self.place = place
        self.error = error
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return self.place


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch says that there is a GPU; nothing is sent to it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)


def fallback(
    error: Exception | None = None, name: str = "auto"
) -> tuple[DeviceFallback[Model], list[Model]]:
    made = [Model()]

    def move(model: Model, device: torch.device) -> Model:
        assert model is made[0]
        made.append(Model(str(device), error))
        return made[-1]

    return DeviceFallback("the matcher", made[0], move, name, "frontend.device"), made


@pytest.mark.usefixtures("one_gpu")
def test_a_device_that_is_well_does_the_work(caplog: pytest.LogCaptureFixture) -> None:
    matcher, made = fallback()
    assert matcher.run(lambda model: model()) == "cuda"
    assert matcher.device.type == "cuda" and matcher.problem == "" and not caplog.records
    assert made[0].calls == 0


@pytest.mark.usefixtures("one_gpu")
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.cuda.OutOfMemoryError("Tried to allocate"), "cuda ran out of memory (Tried to all"),
        (RuntimeError("CUDA error: unspecified\nmore"), "cuda failed (CUDA error: unspecified)"),
    ],
)
def test_a_device_that_fails_is_left_for_good(
    error: Exception, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    matcher, made = fallback(error)
    with caplog.at_level(logging.WARNING):
        assert [matcher.run(lambda model: model()) for _ in range(3)] == ["cpu"] * 3
    assert made[1].calls == 1
    (record,) = caplog.records
    assert reason in record.getMessage()
    assert record.getMessage() == matcher.problem
    assert matcher.problem.endswith("from now on the matcher runs on the CPU")
    assert matcher.device.type == "cpu"


@pytest.mark.usefixtures("one_gpu")
def test_a_mistake_in_the_work_is_not_the_devices() -> None:
    """On the CPU nothing is tried again, and what is no failure of a device passes through."""
    matcher, made = fallback(ValueError("of the caller"))
    with pytest.raises(ValueError, match="of the caller"):
        matcher.run(lambda model: model())
    assert matcher.device.type == "cuda" and made[0].calls == 0
    plain, made = fallback(name="cpu")
    made[0].error = RuntimeError("singular")
    with pytest.raises(RuntimeError, match="singular"):
        plain.run(lambda model: model())
    assert made[0].calls == 1


@pytest.mark.usefixtures("one_gpu")
def test_a_device_that_takes_nothing_is_no_device(caplog: pytest.LogCaptureFixture) -> None:
    def move(model: Model, device: torch.device) -> Model:
        raise torch.cuda.OutOfMemoryError("no room")

    with caplog.at_level(logging.WARNING):
        matcher = DeviceFallback("the matcher", Model(), move, "cuda")
    assert matcher.run(lambda model: model()) == "cpu"
    assert [one.getMessage() for one in caplog.records] == [matcher.problem]
    assert matcher.problem == "cuda failed (no room); the matcher runs on the CPU"


@pytest.mark.usefixtures("one_gpu")
def test_several_threads_hear_of_it_once(caplog: pytest.LogCaptureFixture) -> None:
    together = threading.Barrier(4)

    class Slow(Model):
        def __call__(self) -> str:
            if self.error is not None:
                together.wait()
            return super().__call__()

    matcher = DeviceFallback(
        "the matcher", Slow(), lambda _, there: Slow(str(there), RuntimeError("lost")), "cuda"
    )
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(matcher.run(lambda model: model())))
        for _ in range(4)
    ]
    with caplog.at_level(logging.WARNING):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == ["cpu"] * 4 and len(caplog.records) == 1


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == (torch.device("cpu"), "")
    matcher, made = fallback(name="cuda:1")
    assert matcher.problem == (
        "frontend.device is 'cuda:1', but there is no CUDA device; the matcher runs on the CPU"
    )
    assert len(made) == 1 and matcher.run(lambda model: model()) == "cpu"


@pytest.mark.usefixtures("one_gpu")
def test_names_of_devices() -> None:
    assert choose_device("auto")[0].type == "cuda"
    assert choose_device("cuda:0") == (torch.device("cuda:0"), "")
    assert choose_device("cuda:1", "network.device") == (
        torch.device("cpu"),
        "network.device is 'cuda:1', but there are 1 CUDA devices",
    )
    for name in ("tpu", "mps", ""):
        with pytest.raises(ConfigError, match="must be auto, cpu, cuda or cuda:N"):
            choose_device(name, "network.device")
