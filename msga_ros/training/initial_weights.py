"""The weights that a training starts from, where it does not start from random ones."""

from __future__ import annotations

from pathlib import Path

from msga_ros.network import CheckpointError, MSGANet
from msga_ros.network.checkpoint import find_weights, read_checkpoint
from msga_ros.network.net import module_inputs


def start_from(net: MSGANet, path: str | Path) -> None:
    """Give `net` the weights in `path`; columns of inputs that those do not have become zero, so
    that the network begins by computing what they computed.

    Raises:
        CheckpointError: the file is unreadable, or of another structure but for more inputs.
    """
    config, state = read_checkpoint(find_weights(path), MSGANet)
    modules = ("sieve0", "sieve1")
    for module, old, new in zip(
        modules, module_inputs(config), module_inputs(net.config), strict=True
    ):
        name = f"{module}.embed.weight"
        if not set(old) <= set(new):
            unseen = ", ".join(sorted(set(old) - set(new)))
            raise CheckpointError(f"{path} does not fit the network to train: it sees {unseen}")
        grown = state[name].new_zeros(len(state[name]), len(new))
        grown[:, [new.index(entry) for entry in old]] = state[name]
        state[name] = grown
    try:
        different = net.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit the network to train: {error}") from error
    missing = [n for n in different.missing_keys if not n.endswith("num_batches_tracked")]
    if missing or different.unexpected_keys:
        raise CheckpointError(
            f"{path} does not fit the network to train: missing {missing[:4]}, "
            f"unknown {different.unexpected_keys[:4]}"
        )
