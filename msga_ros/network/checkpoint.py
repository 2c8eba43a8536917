"""Checkpoints: reading ours and the published layout, checking them, writing ours.

Nothing here unpickles code: ours are safetensors, the published ones are read with
`weights_only=True`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from msga_ros.network.config import MSGANetConfig

ARCHITECTURE = "msga_net"
FORMAT = f"{ARCHITECTURE}-1"  # and the version of its layout


class CheckpointError(ValueError):
    """A checkpoint is missing, unreadable or does not fit; the message says what and where."""


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
        raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from error
    if not found:
        raise CheckpointError(f"{path}: its metadata name no format, so no architecture")
    return str(found.rpartition("-")[0] or found)


def check_format(found: str | None, where: str | Path) -> None:
    """Raise `CheckpointError` unless `found` is the format of MSGA-Net's files that we read."""
    if found == FORMAT:
        return
    name, _, version = (found or "").rpartition("-")
    if name == ARCHITECTURE:
        raise CheckpointError(f"{where}: format {found!r}: version {version} is not known")
    raise CheckpointError(f"{where}: format {found!r}: not of the architecture {ARCHITECTURE!r}")


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
        config, state, where = None, _from_published(source, "state dict"), "state dict"
    else:
        path = Path(source).expanduser()
        where = str(path)
        if not path.is_file():
            raise CheckpointError(f"{path}: no such checkpoint file")
        if path.suffix == ".safetensors":
            config, state = _read_safetensors(path)
        else:
            config, state = None, _from_published(_read_pickled(path), where)
    config = config or _config_of(state, where)
    _check(build, config, state, where)
    return config, state


def save_checkpoint(
    path: str | Path,
    config: MSGANetConfig,
    state: Mapping[str, Tensor],
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write ours: the tensors in float32 and, as metadata, the structure and `notes`."""
    metadata = {
        "format": FORMAT,
        "config": json.dumps(dataclasses.asdict(config)),
        **(notes or {}),
    }
    tensors = {
        name: value.detach().to("cpu", torch.float32).contiguous()
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(tensors, str(path), metadata=metadata)


def _read_safetensors(path: Path) -> tuple[MSGANetConfig, dict[str, Tensor]]:
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from error
    check_format(metadata.get("format"), path)
    try:
        entries = json.loads(metadata["config"])
        entries["neighbours"] = tuple(entries["neighbours"])
        config = MSGANetConfig(**entries)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its structure is not readable ({error})") from error
    return config, state


def _read_pickled(path: Path) -> Mapping[str, Tensor]:
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken or an unsafe file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not readable as tensors only ({reason})") from error
    state = document.get("state_dict", document) if isinstance(document, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{path}: holds no state_dict of tensors")
    return state


# Published name -> ours, tried in order; each rewrites a part of the name.
_RENAMES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"^module\.", ""),
    (r"^ds_([01])\.embed_2\.", r"weigh."),
    (r"^ds_1\.linear_2\.", r"weigh_head."),
    (r"^ds_([01])\.", r"sieve\1."),
    (r"\.conv\.0\.(?=weight|bias)", r".embed."),
    (r"^(sieve[01])\.conv\.1\.", r"\1.embed_norm."),
    (r"\.resnet1\.", r".residual0."),
    (r"\.resnet2\.", r".residual1."),
    (r"\.embed_1\.0\.", r".residual2."),
    (r"left\.0\.", r"linear0."),
    (r"left\.2\.", r"norm0.norm."),
    (r"left\.4\.", r"linear1."),
    (r"left\.6\.", r"norm1.norm."),
    (r"\.aggregation1\.embed\.", r".annular.edges_to_ring."),
    (r"\.aggregation1\.conv\.1\.", r".annular.norm0."),
    (r"\.aggregation1\.conv\.3\.", r".annular.rings_to_match."),
    (r"\.aggregation1\.conv\.4\.", r".annular.norm1."),
    (r"\.fusion\.", r".interaction0."),
    (r"\.fusion1\.", r".interaction1."),
    (r"\.attq\.0\.", r".query.linear."),
    (r"\.attq\.1\.", r".query.norm."),
    (r"\.attk\.0\.", r".key.linear."),
    (r"\.attk\.1\.", r".key.norm."),
    (r"\.attv\.0\.", r".value.linear."),
    (r"\.attv\.1\.", r".value.norm."),
    (r"\.mlp\.", r".output."),
    (r"\.linear_0\.", r".head0."),
    (r"\.linear_1\.", r".head1."),
    (r"\.glo_block\.transformer1\.", r".context."),
    (r"\.upsample\.conv\.1\.", r".pool.norm.norm."),
    (r"\.upsample\.conv\.3\.", r".pool.linear."),
    (r"\.downsample\.conv\.1\.", r".unpool.norm.norm."),
    (r"\.downsample\.conv\.3\.", r".unpool.linear."),
    (r"\.glo_exchange(\d)\.", lambda m: f".layers.{int(m[1]) - 1}."),
    (r"(layers\.\d)\.norm1\.", r"\1.norm0."),
    (r"(layers\.\d)\.norm2\.", r"\1.norm1."),
    (r"\.attn\.qkv_dwconv\.", r".attention.qkv_depthwise."),
    (r"\.attn\.project_out\.", r".attention.output."),
    (r"\.attn\.", r".attention."),
    (r"\.se_block\.local_att\.", r".gate.local."),
    (r"\.se_block\.global_att\.([1245])\.", lambda m: f".gate.whole.{int(m[1]) - 1}."),
    (r"\.ffn\.", r".feed_forward."),
)
_UNUSED = re.compile(r"\.right\.0\.|\.aggregation2\.|num_batches_tracked$")
_CONVOLUTIONS_KEPT = re.compile(r"\.attention\.|\.gate\.|\.feed_forward\.")
_MIXTURE = re.compile(r"(.*\.attention)\.attn([1-4])$")


def _from_published(state: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """State dict in our names from one in the published names."""
    result: dict[str, Tensor] = {}
    mixtures: dict[str, dict[int, Tensor]] = {}
    for name, value in state.items():
        if _UNUSED.search(name):
            continue
        renamed = name
        for pattern, replacement in _RENAMES:
            renamed = re.sub(pattern, replacement, renamed)
        mixture = _MIXTURE.match(renamed)
        if mixture:
            mixtures.setdefault(f"{mixture[1]}.mixture", {})[int(mixture[2])] = value.reshape(1)
        else:
            result[renamed] = _reshaped(renamed, value)
    for name, parts in mixtures.items():
        if sorted(parts) != [1, 2, 3, 4]:
            raise CheckpointError(f"{where}: attn1..4 of {name} are not all there")
        result[name] = torch.cat([parts[i] for i in (1, 2, 3, 4)])
    return result


def _reshaped(name: str, value: Tensor) -> Tensor:
    """Weights of 1x1 and ring convolutions as those of linear layers."""
    if value.dim() != 4 or _CONVOLUTIONS_KEPT.search(name):
        return value
    # (out, in, 1, width) -> (out, width * in): position first, as the linear layers read it.
    return value.squeeze(2).transpose(1, 2).flatten(1)


def _config_of(state: Mapping[str, Tensor], where: str) -> MSGANetConfig:
    """The structure that a published state dict has."""
    try:
        channels = state["sieve0.embed.weight"].shape[0]
        neighbours = tuple(
            3 * (state[f"sieve{i}.annular.rings_to_match.weight"].shape[1] // channels)
            for i in (0, 1)
        )
        layers = {m[1] for name in state if (m := re.match(r"sieve0\.context\.layers\.(\d)", name))}
        blocks = {m[1] for name in state if (m := re.match(r"sieve0\.residual0\.(\d)", name))}
        return MSGANetConfig(
            channels=channels,
            neighbours=(neighbours[0], neighbours[1]),
            residual_blocks=len(blocks),
            grid=round(state["sieve0.context.pool.linear.weight"].shape[0] ** 0.5),
            msformer_layers=len(layers),
            heads=state["sieve0.context.layers.0.attention.temperature"].shape[0] if layers else 4,
        )
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError(f"{where}: not a MSGA-Net state dict ({error} missing)") from error


def _check(
    build: Callable[[MSGANetConfig], torch.nn.Module],
    config: MSGANetConfig,
    state: dict[str, Tensor],
    where: str,
) -> None:
    """Names, shapes and finiteness against the network of that structure."""
    with torch.device("meta"):
        expected = build(config).state_dict()
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
        raise CheckpointError(f"{where}: does not fit MSGA-Net: {'; '.join(problems[:5])}")


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
