"""The network by fused kernels on an NVIDIA GPU, for inference (`network.fused`).

Layers one by one are some thousand launches of a few microseconds each. Fused (Triton, which comes
with PyTorch for CUDA), they are about a hundred. Written for and checked against the layers
(`MSGANet.forward`), which stay what trains, what a CPU runs and what a GPU runs without Triton.
"""

from __future__ import annotations

import torch

from msga_ros.network.net import MSGANet

_MOST_CHANNELS = 128  # a program holds all channels of its matches
_MOST_NEIGHBOURS = 16
_LEAST_CAPABILITY = (8, 0)  # tensor cores that take float32 as parts of ten bits
_LEAST_TRITON = 3


def unavailable(net: MSGANet, device: torch.device) -> str:
    """Why `net` cannot run by fused kernels on `device`; "" where it can."""
    return _structure(net) or _machine(device)


def _structure(net: MSGANet) -> str:
    config = net.config
    reasons = {
        "it is not folded": not net.folded,
        f"more than {_MOST_CHANNELS} channels": config.channels > _MOST_CHANNELS,
        "fewer than 4 channels": config.channels < 4,
        f"more than {_MOST_NEIGHBOURS} neighbours": max(config.neighbours) > _MOST_NEIGHBOURS,
        "no interaction": not config.interaction,
        "no context": not config.context,
        "no verification": not config.verification,
        f"gate {config.gate}": config.gate != "aff",
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


def _machine(device: torch.device) -> str:
    if device.type != "cuda" or torch.version.cuda is None:
        return "not an NVIDIA GPU"
    try:
        import triton
    except ImportError:
        return "triton is not installed"
    if int(triton.__version__.partition(".")[0]) < _LEAST_TRITON:
        return f"triton {triton.__version__} is too old, it needs {_LEAST_TRITON}"
    capability = torch.cuda.get_device_capability(device)
    if capability < _LEAST_CAPABILITY:
        needed = ".".join(map(str, _LEAST_CAPABILITY))
        return f"compute capability {'.'.join(map(str, capability))}, it needs {needed}"
    return ""
