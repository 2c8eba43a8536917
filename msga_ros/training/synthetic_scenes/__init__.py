"""Synthetic two-view geometry in torch, batched: putative matches of random scenes, no images.

`generator.synthetic_batch` makes the batches. The scene (`structure`) and the motion (`motion`) say
where right matches lie, `outliers` what goes wrong with the others, `evidence` what descriptors
would say of each.
"""

from msga_ros.training.synthetic_scenes.config import SyntheticConfig
from msga_ros.training.synthetic_scenes.generator import SyntheticBatch, synthetic_batch

__all__ = ["SyntheticBatch", "SyntheticConfig", "synthetic_batch"]
