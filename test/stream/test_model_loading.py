"""The model of a configured node, and the name that the diagnostics give it."""

from __future__ import annotations

from msga_ros.stream.model_loading import load_model
from msga_ros.two_view.config import PipelineConfig

QUICK = {"frontend.name": "orb", "frontend.max_keypoints": 100, "network.device": "cpu"}


def test_without_weights_the_model_is_named_after_its_sieve() -> None:
    model = load_model(PipelineConfig.load(**QUICK, **{"sieve.name": "none"}))
    assert (model.source, model.device, model.device_problem) == ("none", "cpu", "")


def test_with_weights_it_is_named_after_them() -> None:
    chosen = {"network.weights": "msga_net_lite"}
    assert load_model(PipelineConfig.load(**QUICK, **chosen)).source == "msga_net_lite.safetensors"
