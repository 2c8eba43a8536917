"""Checkpoints: reading ours and the published layout, checking them, writing ours.

Nothing here unpickles code: ours are safetensors, the published ones are read with
`weights_only=True`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from msga_ros.foreign_text import shown
from msga_ros.network.checkpoint_error import CheckpointError
from msga_ros.network.config import MSGANetConfig
from msga_ros.network.published_checkpoint import config_of, from_published
from msga_ros.whole_files import write_whole

if TYPE_CHECKING:
    from msga_ros.network.dense.config import DenseConfig

__all__ = [
    "CheckpointError",
    "architecture_of",
    "check_format",
    "check_state",
    "find_weights",
    "packaged_weights",
    "read_checkpoint",
    "read_tensors",
    "save_checkpoint",
]

ARCHITECTURE = "msga_net"
FORMAT = f"{ARCHITECTURE}-1"  # and the version of its layout


def find_weights(choice: str | Path = "", device: str = "auto") -> Path:
    """Path of the weights that a user names.

    Args:
        choice: the name of a set in the package (`msga_net`, `msga_net_lite`, ...) or a path.
            Nothing: `msga_net` for a GPU, and for a CPU `msga_net_lite`, which keeps up with a
            camera there.
        device: where the network is to run, as in `NetworkConfig`.

    Raises:
        CheckpointError: a name, without a suffix and a folder, that is no set in the package.
    """
    name = str(choice)
    if not name:
        on_gpu = device != "cpu" and torch.cuda.is_available()
        name = "msga_net" if on_gpu else "msga_net_lite"
    path = Path(name).expanduser()
    if path.suffix or len(path.parts) > 1 or path.is_file():
        return path
    return packaged_weights(name)


def packaged_weights(name: str = "msga_net") -> Path:
    """Path of a set of trained weights that comes with the package.

    Raises:
        CheckpointError: there is none of that name.
    """
    path = Path(__file__).resolve().parent.parent / "weights" / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.safetensors")))
        raise CheckpointError(f"no weights {name!r} in the package: {path} (there are: {known})")
    return path


def architecture_of(path: Path) -> str:
    """The name of the architecture that a checkpoint says it is of.

    Published checkpoints say nothing; there are those of MSGA-Net alone. `CheckpointError` for a
    safetensors file that is unreadable or says nothing.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        return ARCHITECTURE
    try:
        with safe_open(str(path), framework="pt") as file:
            found = (file.metadata() or {}).get("format", "")
    except (SafetensorError, OSError) as error:
        reason = shown(error)
        raise CheckpointError(f"{path}: not a readable safetensors file ({reason})") from error
    if not found:
        raise CheckpointError(f"{path}: its metadata name no format, so no architecture")
    return str(found.rpartition("-")[0] or found)


def check_format(found: str | None, where: str | Path) -> None:
    """Raise `CheckpointError` unless `found` is the format of MSGA-Net's files that we read."""
    if found == FORMAT:
        return
    name, _, version = (found or "").rpartition("-")
    if name == ARCHITECTURE:
        text = f"format {shown(found)!r}: version {shown(version)} is not known"
        raise CheckpointError(f"{where}: {text}")
    text = f"format {shown(found)!r}: not of the architecture {ARCHITECTURE!r}"
    raise CheckpointError(f"{where}: {text}")


def read_checkpoint(
    source: str | Path | Mapping[str, Tensor], build: Callable[[MSGANetConfig], torch.nn.Module]
) -> tuple[MSGANetConfig, dict[str, Tensor]]:
    """Structure and state dict, in the names of our modules, checked: complete, fitting, finite.

    Args:
        source: see `MSGANet.load`.
        build: makes the network that the state has to fit.

    Raises:
        CheckpointError: see there.
    """
    if isinstance(source, Mapping):
        config, state, where = None, from_published(source, "state dict"), "state dict"
    else:
        path = Path(source).expanduser()
        where = str(path)
        if not path.is_file():
            raise CheckpointError(f"{path}: no such checkpoint file")
        if path.suffix == ".safetensors":
            config, state = _read_safetensors(path)
        else:
            config, state = None, from_published(_read_pickled(path), where)
    config = config or config_of(state, where)
    with torch.device("meta"):
        check_state(build(config), state, where)
    return config, state


def save_checkpoint(
    path: str | Path,
    config: MSGANetConfig | DenseConfig,
    state: Mapping[str, Tensor],
    notes: Mapping[str, str] | None = None,
    layout: str = FORMAT,
) -> None:
    """Write ours: the tensors in float32 and, as metadata, the structure and `notes`; `layout`:
    architecture and version."""
    metadata = {
        "format": layout,
        "config": json.dumps(dataclasses.asdict(config)),
        **(notes or {}),
    }
    tensors = {
        name: value.detach().to("cpu", torch.float32).contiguous()
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    write_whole(path, save(tensors, metadata=metadata))


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file; `CheckpointError` where it is none."""
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        reason = shown(error)
        raise CheckpointError(f"{path}: not a readable safetensors file ({reason})") from error
    return metadata, state


def _read_safetensors(path: Path) -> tuple[MSGANetConfig, dict[str, Tensor]]:
    metadata, state = read_tensors(path)
    check_format(metadata.get("format"), path)
    try:
        entries = json.loads(metadata["config"])
        entries["neighbours"] = tuple(entries["neighbours"])
        config = MSGANetConfig(**entries)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = shown(error)
        raise CheckpointError(f"{path}: its structure is not readable ({reason})") from error
    return config, state


def _read_pickled(path: Path) -> Mapping[str, Tensor]:
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken or an unsafe file
        reason = shown(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise CheckpointError(f"{path}: not readable as tensors only ({reason})") from error
    state = document.get("state_dict", document) if isinstance(document, Mapping) else None
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise CheckpointError(f"{path}: holds no state_dict of tensors")
    for name, value in state.items():
        # A view may claim any size over a few bytes, and is made whole when it is reshaped.
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            text = f"claims {value.numel()} numbers, more than there are in the file"
            raise CheckpointError(f"{path}: {shown(name)} {text}")
    return state


def check_state(
    network: torch.nn.Module, state: Mapping[str, Tensor], where: str, what: str = "MSGA-Net"
) -> None:
    """`CheckpointError` unless names and shapes are those of `network`, and all is finite."""
    expected = network.state_dict()
    expected = {n: v for n, v in expected.items() if not n.endswith("num_batches_tracked")}
    problems = []
    missing = sorted(expected.keys() - state.keys())
    unknown = sorted(state.keys() - expected.keys())
    if missing:
        problems.append(f"missing {_some(missing)}")
    if unknown:
        problems.append(f"unknown {_some(unknown)}")
    for name in expected.keys() & state.keys():
        if state[name].shape != expected[name].shape:
            problems.append(
                f"{name} is {tuple(state[name].shape)}, not {tuple(expected[name].shape)}"
            )
        elif not bool(torch.isfinite(state[name]).all()):
            problems.append(f"{name} is not finite")
    if problems:
        raise CheckpointError(f"{where}: does not fit {what}: {'; '.join(problems[:5])}")


def _some(names: list[str]) -> str:
    first = shown(", ".join(names[:4]))
    return first if len(names) <= 4 else f"{first} and {len(names) - 4} more"
