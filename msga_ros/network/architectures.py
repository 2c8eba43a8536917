"""The architectures that a checkpoint may be of, by the name that it bears.

A further one is a class whose `load(path)` gives a `Network` (`match_scores.py`) on the CPU, and
a line in `ARCHITECTURES`; another package names its class in the entry points
`msga_ros.architectures`.
"""

from __future__ import annotations

from msga_ros.configuration.registry import Registry
from msga_ros.network.checkpoint import ARCHITECTURE, CheckpointError

ARCHITECTURES = Registry(
    "architecture",
    "msga_ros.architectures",
    {ARCHITECTURE: "msga_ros.network.net:MSGANet"},
    CheckpointError,
)
