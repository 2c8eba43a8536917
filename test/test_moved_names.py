"""Names that users import are found where they were, with a warning that says where they are."""

from __future__ import annotations

import importlib

import pytest

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.datasets.dumps import DumpFile
from msga_ros.evaluation.dump_evaluation import evaluate
from msga_ros.frontend.config import FrontendConfig
from msga_ros.network.inference import Inference
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.drawing import draw_matches
from msga_ros.two_view.pipeline import TwoViewPipeline


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("msga_ros.pipeline", TwoViewPipeline),
        ("msga_ros.config", PipelineConfig),
        ("msga_ros.config", FrontendConfig),
        ("msga_ros.config", ConfigError),
        ("msga_ros.inference", Inference),
        ("msga_ros.drawing", draw_matches),
        ("msga_ros.training.evaluation", evaluate),
        ("msga_ros.training.dumps", DumpFile),
    ],
)
def test_the_old_place_leads_to_the_new_one(old: str, new: type) -> None:
    module = importlib.import_module(old)
    with pytest.warns(DeprecationWarning, match=f"{old} has moved to {new.__module__}$") as seen:
        assert getattr(module, new.__name__) is new
    assert seen[0].filename == __file__  # the line of the user, not ours
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        module.nothing  # noqa: B018
