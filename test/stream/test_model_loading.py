"""The model of a configured node, its name, and that making it does not hold up the end."""

from __future__ import annotations

import threading

import pytest

from msga_ros.stream.model_loading import (
    InterruptibleLoading,
    LoadingInterrupted,
    Model,
    load_model,
)
from msga_ros.two_view.config import PipelineConfig

CONFIG = PipelineConfig()
QUICK = {"frontend.name": "orb", "frontend.max_keypoints": 100, "network.device": "cpu"}


def test_without_weights_the_model_is_named_after_its_sieve() -> None:
    model = load_model(PipelineConfig.load(**QUICK, **{"sieve.name": "none"}))
    assert (model.source, model.device, model.device_problem) == ("none", "cpu", "")


def test_with_weights_it_is_named_after_them() -> None:
    chosen = {"network.weights": "msga_net_lite"}
    assert load_model(PipelineConfig.load(**QUICK, **chosen)).source == "msga_net_lite.safetensors"


def test_the_model_is_made_of_the_configuration() -> None:
    asked = []

    def load(config: PipelineConfig) -> Model:
        asked.append(config)
        return Model(None, "here")  # type: ignore[arg-type]

    loading = InterruptibleLoading(load, threading.Event())
    assert loading.load(CONFIG).source == "here"
    assert asked == [CONFIG] and not loading.left_behind


def test_what_goes_wrong_is_raised_as_it_is() -> None:
    def load(config: PipelineConfig) -> Model:
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        InterruptibleLoading(load, threading.Event()).load(CONFIG)


def test_a_model_that_is_never_ready_is_left_behind() -> None:
    stop, released = threading.Event(), threading.Event()

    def load(config: PipelineConfig) -> Model:
        stop.set()  # as a signal does, while it loads
        released.wait()
        return Model(None, "late")  # type: ignore[arg-type]

    loading = InterruptibleLoading(load, stop)
    with pytest.raises(LoadingInterrupted):
        loading.load(CONFIG)
    assert loading.left_behind
    released.set()
