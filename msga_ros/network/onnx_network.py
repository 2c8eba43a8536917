"""A network that `msga export` wrote, run by ONNX Runtime instead of torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from msga_ros.foreign_text import shown
from msga_ros.network.checkpoint import CheckpointError, check_format
from msga_ros.network.evidence import EVIDENCE
from msga_ros.network.match_scores import MatchScores
from msga_ros.network.onnx_wire import keeps_data_elsewhere

_REQUIRED = ("correspondences",)
_INPUTS = (*_REQUIRED, "evidence")
_OUTPUTS = ("essential", "residual", "score")
_MOST_MIN = 100_000  # matches that a network may want at the least
_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"


class OnnxNetwork:
    """A `Network` by ONNX Runtime. On a CPU with as many threads as torch has when the file is
    loaded."""

    def __init__(self, path: Path, device: torch.device) -> None:
        """Raises `CheckpointError` for the file, `RuntimeError` for the device."""
        self.device = device
        self._path = path
        self._session = _session(path, device)
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        metadata = self._session.get_modelmeta().custom_metadata_map
        if "format" not in metadata:
            raise CheckpointError(f"{path}: not an ONNX file of msga export")
        check_format(metadata["format"], path)
        outputs = {entry.name for entry in self._session.get_outputs()}
        if not set(_REQUIRED) <= {*self._inputs} <= set(_INPUTS) or not outputs >= set(_OUTPUTS):
            names = shown(", ".join((*self._inputs, *sorted(outputs))))
            raise CheckpointError(f"{path}: not the inputs and outputs of msga export ({names})")
        try:
            self._columns = _columns(self._session)
            self._min_matches = int(metadata["min_matches"])
            self._verifies = bool(json.loads(metadata["config"])["verification"])
            if not 0 <= self._columns <= len(EVIDENCE) or not 8 <= self._min_matches <= _MOST_MIN:
                raise ValueError(f"{self._columns} columns, min_matches {self._min_matches}")
        except (KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
            reason = shown(error)
            raise CheckpointError(f"{path}: its metadata are not readable ({reason})") from error

    @classmethod
    def load(cls, path: str | Path) -> OnnxNetwork:
        """The network of a file, on the CPU.

        Raises:
            CheckpointError: the file is missing, unreadable or not ours, or onnxruntime is not
                installed.
        """
        return cls(Path(path).expanduser(), torch.device("cpu"))

    @property
    def verifies(self) -> bool:
        """As `Network.verifies`."""
        return self._verifies

    def on(self, device: torch.device) -> OnnxNetwork:
        """As `Network.on`: with the CUDA provider of `onnxruntime-gpu`."""
        return OnnxNetwork(self._path, device)

    def _known(self, evidence: NDArray[np.generic] | None, count: int) -> NDArray[np.float64]:
        """As many columns of evidence as the file takes; NaN, or in those of old: 1 and 0, where
        nothing is known."""
        known = np.full((count, self._columns), np.nan)
        known[:, :2] = [1.0, 0.0][: self._columns]
        if evidence is not None:
            shared = min(self._columns, evidence.shape[1])
            given = evidence[:, :shared]
            # Files of before know no NaN: an unknown ratio is 1, an unknown check fails.
            known[:, :shared] = np.where(np.isnan(given), known[:, :shared], given)
        return known

    def __call__(
        self,
        correspondences: NDArray[np.generic],
        valid: NDArray[np.bool_],
        evidence: NDArray[np.generic] | None,
    ) -> MatchScores:
        """As `Network.__call__`."""
        count = len(correspondences)
        residual, score = np.full(count, np.inf), np.full(count, -np.inf)
        rows = np.flatnonzero(valid)
        if len(rows) < self._min_matches:
            return MatchScores(np.full((3, 3), np.nan), residual, score)
        feed = {"correspondences": correspondences, "evidence": self._known(evidence, count)}
        try:
            essential, distance, logit = self._session.run(
                list(_OUTPUTS),
                {name: feed[name][rows][None].astype(np.float32) for name in self._inputs},
            )
        except Exception as error:  # ONNX Runtime's own have no base class but this
            raise RuntimeError(str(error)) from error
        residual[rows], score[rows] = distance[0], logit[0]
        return MatchScores(essential[0].astype(np.float64), residual, score)


def _columns(session: Any) -> int:
    """How many columns of evidence the file takes; its metadata say which."""
    shapes = {entry.name: entry.shape for entry in session.get_inputs()}
    return int(shapes["evidence"][2]) if "evidence" in shapes else 0


def _session(path: Path, device: torch.device) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise CheckpointError(
            f"{path}: ONNX files need onnxruntime (pip install onnxruntime)"
        ) from None
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        elsewhere = keeps_data_elsewhere(path.read_bytes())
    except ValueError as error:
        raise CheckpointError(f"{path}: not an ONNX file ({error})") from None
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    if elsewhere:  # ONNX Runtime would read whatever file the model names
        raise CheckpointError(f"{path}: its tensors are in other files; msga export writes one")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; the rest is about its own optimiser
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = [_CPU]
    if device.type == "cuda":
        if _CUDA not in onnxruntime.get_available_providers():
            raise RuntimeError("onnxruntime was built without CUDA: install onnxruntime-gpu")
        providers.insert(0, (_CUDA, {"device_id": device.index or 0}))
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # see above
        if device.type == "cuda":
            raise RuntimeError(str(error)) from error
        raise CheckpointError(f"{path}: {shown(error)}") from error
    if device.type == "cuda" and session.get_providers()[0] != _CUDA:
        raise RuntimeError("onnxruntime could not start its CUDA provider")
    return session
