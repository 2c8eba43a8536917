"""What descriptors and keypoints say of a match, beside where it lies, as inputs of the network.

Callers give a table with the first columns of `EVIDENCE` (`Matches.evidence`, but sizes in focal
lengths: `normalised_evidence`), NaN where an entry is not known; columns that miss at its end
are known of no match. A network takes the entries that its configuration names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from msga_ros.frontend.base import EVIDENCE

__all__ = ["EVIDENCE", "evidence_inputs", "input_names"]

_LARGEST_LOG_SCALE = 4.0


def evidence_inputs(names: Sequence[str], evidence: Tensor) -> Tensor:
    """`(..., sum of the widths)` inputs for `names` of `EVIDENCE`, from a table `(..., columns)`.

    An unknown entry becomes zeros, which no known one does: rotations come as sine and cosine, and
    a change of scale with a 1 beside it.
    """
    columns = dict(zip(EVIDENCE, evidence.unbind(-1), strict=False))
    nothing = torch.full_like(evidence[..., 0], torch.nan)
    parts = [_ENCODINGS[name][1](columns.get(name, nothing)) for name in names]
    return torch.cat(parts, -1)


def input_names(names: Sequence[str]) -> list[str]:
    """A name for each input that `evidence_inputs` makes, in its order."""
    return [f"{name}.{part}" for name in names for part in _ENCODINGS[name][0]]


def _ratio(values: Tensor) -> Tensor:
    return (1 - values).nan_to_num(0.0).unsqueeze(-1)


def _mutual(values: Tensor) -> Tensor:
    return values.nan_to_num(0.0).unsqueeze(-1)


def _rotation(values: Tensor) -> Tensor:
    return torch.stack((values.sin(), values.cos()), -1).nan_to_num(0.0)


def _log_scale(values: Tensor) -> Tensor:
    bounded = values.clamp(-_LARGEST_LOG_SCALE, _LARGEST_LOG_SCALE) / 2
    known = (~values.isnan()).to(values.dtype)
    return torch.stack((bounded.nan_to_num(0.0), known), -1)


def _distance(values: Tensor) -> Tensor:
    return (1 - values).nan_to_num(0.0).unsqueeze(-1)


_ENCODINGS: dict[str, tuple[tuple[str, ...], Callable[[Tensor], Tensor]]] = {
    "ratio": (("closeness",), _ratio),
    "mutual": (("flag",), _mutual),
    "rotation": (("sine", "cosine"), _rotation),
    "log_scale": (("value", "known"), _log_scale),
    "distance": (("closeness",), _distance),
}
