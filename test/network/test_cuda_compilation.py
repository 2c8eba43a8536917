"""The compiled network on a GPU says what it says layer by layer, which goes on meanwhile."""

from __future__ import annotations

import torch
from devices import ON_GPU
from verdicts import assert_alike, matches_of_a_scene

from msga_ros.network import MSGANet, MSGANetConfig, cuda_graph
from msga_ros.network.cuda_graph import RecordedNetwork
from msga_ros.network.evidence import EVIDENCE
from msga_ros.network.match_scores import MatchScores

pytestmark = ON_GPU

SMALL = MSGANetConfig(
    channels=32, residual_blocks=1, grid=4, msformer_layers=1, evidence=EVIDENCE, hartley=True
)


def test_compiled_as_layer_by_layer() -> None:
    torch.manual_seed(0)
    net = MSGANet(SMALL).eval().fold()
    network = RecordedNetwork(net, torch.device("cuda"), fused="off", compiles=True)
    assert network.compilation is not None
    scenes = [matches_of_a_scene(count, seed) for seed, count in enumerate((200, 250))]
    calls = [(one.correspondences, one.everyone, one.evidence) for one in scenes]
    with cuda_graph._RECORDING:  # as while something is being compiled
        unrecorded = [network(*call) for call in calls]
    assert not network._recordings
    before = [network(*call) for call in calls]
    first = network._recordings[256]
    assert network.compilation.wait(240)
    assert network._recordings[256] is not first
    compiled = [network(*call) for call in calls]
    for answers in (before, compiled):
        for scene, found, expected in zip(scenes, answers, unrecorded, strict=True):
            assert_alike(MatchScores(*found), MatchScores(*expected), scene.everyone)
