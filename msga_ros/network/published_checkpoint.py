"""The layout of the published checkpoints: their names of the parameters, and ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from msga_ros.foreign_text import shown
from msga_ros.network.checkpoint_error import CheckpointError
from msga_ros.network.config import MSGANetConfig

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


def from_published(state: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
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
            if value.numel() != 1:
                raise CheckpointError(f"{where}: {shown(name)} is not a single number")
            mixtures.setdefault(f"{mixture[1]}.mixture", {})[int(mixture[2])] = value.reshape(1)
        else:
            result[renamed] = _reshaped(renamed, value)
    for name, parts in mixtures.items():
        if sorted(parts) != [1, 2, 3, 4]:
            raise CheckpointError(f"{where}: attn1..4 of {shown(name)} are not all there")
        result[name] = torch.cat([parts[i] for i in (1, 2, 3, 4)])
    return result


def _reshaped(name: str, value: Tensor) -> Tensor:
    """Weights of 1x1 and ring convolutions as those of linear layers."""
    if value.dim() != 4 or _CONVOLUTIONS_KEPT.search(name):
        return value
    # (out, in, 1, width) -> (out, width * in): position first, as the linear layers read it.
    return value.squeeze(2).transpose(1, 2).flatten(1)


def config_of(state: Mapping[str, Tensor], where: str) -> MSGANetConfig:
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
    except KeyError as error:
        text = shown(error)
        raise CheckpointError(f"{where}: not a MSGA-Net state dict ({text} missing)") from error
    except (IndexError, ValueError, ZeroDivisionError) as error:
        text = shown(error)
        raise CheckpointError(f"{where}: not a MSGA-Net state dict ({text})") from error
