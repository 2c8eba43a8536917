"""MSGA-Net as an ONNX file, for other runtimes and languages.

One graph from the matches of one pair to scores, residuals and the essential matrix; any number of
matches from `min_matches` on. See `docs/onnx.md`.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from msga_ros.geometry.onnx_export_mode import single_precision
from msga_ros.network.checkpoint import FORMAT
from msga_ros.network.config import MSGANetConfig
from msga_ros.network.evidence import EVIDENCE
from msga_ros.network.net import MSGANet
from msga_ros.whole_files import write_whole

_SAMPLE = 64  # matches of the example that is traced; any number would do
_MOST = 1 << 20


class OnnxExportError(ValueError):
    """A package that the export needs is missing; the message says which."""


class _OnePair(nn.Module):
    """`(1, N, 4)` correspondences and `(1, N, 2)` evidence to what `MatchScores` holds."""

    def __init__(self, net: MSGANet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, correspondences: Tensor, evidence: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        result = self.net.judged(correspondences, evidence)
        return result.essential, result.residual, result.logits[1]


@contextmanager
def _silence() -> Iterator[None]:
    """Without what the exporter says of its own insides."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def evidence_columns(config: MSGANetConfig) -> tuple[str, ...]:
    """The first columns of `EVIDENCE`, up to the last that the network looks at."""
    needed = [EVIDENCE.index(name) + 1 for name in config.evidence_names]
    return EVIDENCE[: max(2, *needed)] if needed else ()


def export_onnx(net: MSGANet, path: str | Path, float32: bool = False) -> None:
    """Write `net`, folded and on the CPU, to an ONNX file; `float32`: without double precision.

    Inputs `correspondences` (1, N, 4) float32 and, where the network takes it, `evidence`
    (1, N, columns) float32, as in `MSGANet.forward`, with as many columns as it needs; N at least
    `min_matches` of the file's metadata, whose `evidence` names the columns.
    Outputs `essential` (1, 3, 3), `residual` (1, N) and `score` (1, N), float32: `MatchScores`.
    The file also holds the structure (`config`, JSON). It says nothing of this machine.

    Raises:
        OnnxExportError: `onnx` or `onnxscript` is not installed.
    """
    columns = evidence_columns(net.config)
    names = ["correspondences", "evidence"] if columns else ["correspondences"]
    sample = (torch.rand(1, _SAMPLE, 4), torch.rand(1, _SAMPLE, len(columns)))[: len(names)]
    matches = torch.export.Dim("matches", min=net.min_matches, max=_MOST)
    write = partial(
        write_onnx,
        path,
        _OnePair(net).eval(),
        sample,
        names,
        ["essential", "residual", "score"],
        {
            "format": FORMAT,
            "config": json.dumps(dataclasses.asdict(net.config)),
            "min_matches": str(net.min_matches),
            "evidence": ",".join(columns),
        },
        dynamic_shapes=tuple({1: matches} for _ in names),
    )
    with single_precision(float32):
        write()


def write_onnx(
    path: str | Path,
    module: nn.Module,
    sample: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    metadata: Mapping[str, str],
    dynamic_shapes: tuple[dict[int, Any], ...] | None = None,
    optimised: bool = True,
) -> None:
    """Trace `module` on `sample` and write the graph, with names and metadata; it says nothing of
    this machine. Not `optimised`: as it was traced, in half the time; runtimes optimise as well.

    Raises:
        OnnxExportError: `onnx` or `onnxscript` is not installed.
    """
    try:
        import onnx
        import onnxscript  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        raise OnnxExportError(
            f"the export needs {error.name} (pip install onnx onnxscript)"
        ) from None
    with _silence():
        program = torch.onnx.export(
            module,
            sample,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=dynamic_shapes,
            dynamo=True,
            optimize=optimised,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]  # stack traces, with paths
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    write_whole(path, model.SerializeToString())
