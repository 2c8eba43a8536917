"""The weights that a stage of the training starts from."""

from __future__ import annotations

from pathlib import Path

from msga_ros.network import CheckpointError
from msga_ros.network.checkpoint import find_weights
from msga_ros.network.dense.checkpoint import read_dense_checkpoint
from msga_ros.network.dense.net import DenseMatcher

# Modules that an earlier stage may have left out (levels, layers of the graph).
_MAY_BE_NEW = ("graph.", "decoder.", "confidence.")


def start_dense_from(net: DenseMatcher, path: str | Path) -> None:
    """Give `net` the weights in `path`; a graph, levels or a head that those do not have stay new.

    Raises:
        CheckpointError: the file is unreadable, or of another structure otherwise.
    """
    _, state = read_dense_checkpoint(find_weights(path))
    own = net.state_dict()
    for name in [name for name in state if name.startswith(_MAY_BE_NEW)]:
        if name not in own or own[name].shape != state[name].shape:
            del state[name]
    try:
        different = net.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit the network to train: {error}") from error
    missing = [
        name
        for name in different.missing_keys
        if not name.endswith("num_batches_tracked") and not name.startswith(_MAY_BE_NEW)
    ]
    if missing or different.unexpected_keys:
        raise CheckpointError(
            f"{path} does not fit the network to train: missing {missing[:4]}, "
            f"unknown {different.unexpected_keys[:4]}"
        )
