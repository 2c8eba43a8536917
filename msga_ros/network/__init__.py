"""MSGA-Net: outlier removal on putative matches."""

from msga_ros.network.checkpoint import (
    CheckpointError,
    find_weights,
    packaged_weights,
    save_checkpoint,
)
from msga_ros.network.config import MSGANetConfig
from msga_ros.network.net import MSGANet
from msga_ros.network.result import INLIER_THRESHOLD, MSGANetResult, inlier_probability

__all__ = [
    "INLIER_THRESHOLD",
    "CheckpointError",
    "MSGANet",
    "MSGANetConfig",
    "MSGANetResult",
    "find_weights",
    "inlier_probability",
    "packaged_weights",
    "save_checkpoint",
]
