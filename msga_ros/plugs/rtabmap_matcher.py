"""The matcher of this package for RTAB-Map: name this file in the parameter `PyMatcher/Path`.

RTAB-Map imports the file into its own Python, calls `init` once and `match` for every pair
(`Vis/CorNNType 6`). Its Python must find this package and PyTorch; docs/plugs/rtabmap.md says how.

RTAB-Map hands over no calibration, and the network needs normalised coordinates: set the
environment variable MSGA_CAMERA to `fx,fy,cx,cy` in pixels. Without it a focal length of 1.2 times
the longer side of the image is assumed. With MSGA_ONLY_OK=1 there are no matches at all where the
pose of the pair would not have the status OK.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

try:
    import msga_ros
except ModuleNotFoundError:  # RTAB-Map knows this file by its path alone
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    import msga_ros  # noqa: F401

from msga_ros.frontend.base import Features
from msga_ros.frontend.matching import match_features
from msga_ros.frontend.sift import root_sift
from msga_ros.geometry.camera import Camera, CameraError
from msga_ros.network import find_weights
from msga_ros.network.inference import Inference, load_network
from msga_ros.network.match_scores import MatchScores
from msga_ros.plugs.matches import PlugError
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.motion import motion_status
from msga_ros.two_view.relative_pose import estimate_motion
from msga_ros.two_view.result import Status
from msga_ros.two_view.sieves.msga import NetworkConfig

# What RTAB-Map hands over as the model unless `PyMatcher/Model` says otherwise.
_NO_MODEL = ("", "indoor", "outdoor")
_ASSUMED_FOCAL = 1.2  # of the longer side of the image

Array = NDArray[np.float64]

_state: dict[str, Any] = {}  # what `init` was given and made


def init(descriptorDim: int, matchThreshold: float, iterations: int, cuda: int, model: str) -> None:
    """Load the network; RTAB-Map calls this once, before the first `match`.

    Args:
        descriptorDim: columns of the descriptors.
        matchThreshold: `PyMatcher/Threshold`; smallest inlier probability of a match, 0..1. 0.5 is
            where the network draws the line.
        iterations: `PyMatcher/Iterations`; not used.
        cuda: `PyMatcher/Cuda`; 1: run on the GPU where there is one.
        model: `PyMatcher/Model`; path of a checkpoint, or nothing for the packaged weights.

    Raises:
        PlugError: MSGA_CAMERA or MSGA_ONLY_OK is not what it should be; the text says what.
    """
    _state["camera"] = _calibration(os.environ.get("MSGA_CAMERA", ""))
    _state["only_ok"] = _switch("MSGA_ONLY_OK")
    device = "auto" if cuda else "cpu"
    path = find_weights("" if model in _NO_MODEL else model, device)
    _state["inference"] = Inference(load_network(path), device)
    _state["inlier_threshold"] = NetworkConfig().inlier_threshold
    _state["match_threshold"] = float(matchThreshold)
    _state["dimension"] = int(descriptorDim)


def match(
    kptsFrom: ArrayLike,
    kptsTo: ArrayLike,
    scoresFrom: ArrayLike,
    scoresTo: ArrayLike,
    descriptorsFrom: ArrayLike,
    descriptorsTo: ArrayLike,
    imageWidth: int,
    imageHeight: int,
) -> np.ndarray:
    """Matches of two views as rows (index from, index to), (M, 2) int32; each index once.

    Args:
        kptsFrom, kptsTo: (N, 2) pixels.
        scoresFrom, scoresTo: (N,) responses of the detector.
        descriptorsFrom, descriptorsTo: (N, D) float32; of SIFT, SuperPoint, ...
        imageWidth, imageHeight: pixels.
    """
    size = (int(imageWidth), int(imageHeight))
    features0 = _features(kptsFrom, scoresFrom, descriptorsFrom, size)
    features1 = _features(kptsTo, scoresTo, descriptorsTo, size)
    matches = match_features(features0, features1, ratio=1.0, mutual=False)
    camera = _camera(_state["camera"], size)
    points0 = camera.normalize(matches.keypoints0)
    points1 = camera.normalize(matches.keypoints1)
    rows = np.hstack((points0, points1))
    scores = _state["inference"](rows, np.isfinite(rows).all(axis=1), matches.evidence)
    if _state["only_ok"] and not _ok(scores, rows, camera):
        return np.empty((0, 2), dtype=np.int32)
    probability = 1.0 / (1.0 + scores.residual / _state["inlier_threshold"])
    order = np.argsort(-probability, kind="stable")
    order = order[probability[order] >= _state["match_threshold"]]
    # Several keypoints may have the same nearest neighbour: the most probable one keeps it.
    indices0, indices1 = matches.feature_indices
    order = order[np.sort(np.unique(indices1[order], return_index=True)[1])]
    pairs = np.column_stack((indices0[order], indices1[order]))
    return np.ascontiguousarray(pairs, dtype=np.int32)


def _features(
    keypoints: ArrayLike, scores: ArrayLike, descriptors: ArrayLike, size: tuple[int, int]
) -> Features:
    """Copies: RTAB-Map frees what it hands over when the call returns."""
    table = np.array(descriptors, dtype=np.float32)
    if table.ndim == 2 and table.shape[1] == 128 and len(table) and table.min() >= 0:
        table = root_sift(table)  # what the network was trained with
    return Features(
        np.array(keypoints, dtype=np.float32).reshape(-1, 2),
        np.array(scores, dtype=np.float32).ravel(),
        table,
        size,
    )


def _ok(scores: MatchScores, rows: Array, camera: Camera) -> bool:
    """Whether the pipeline, with its default settings, would call the pair's pose OK."""
    config = PipelineConfig()
    motion = estimate_motion(scores, rows, config, camera.mean_focal)
    return motion_status(motion, config.pose) is Status.OK


def _calibration(text: str) -> Camera | None:
    """The camera of MSGA_CAMERA; None where that is empty."""
    if not text.strip():
        return None
    try:
        fx, fy, cx, cy = (float(one) for one in text.split(","))
    except ValueError:
        raise PlugError(f"MSGA_CAMERA must be fx,fy,cx,cy in pixels, not {text[:80]!r}") from None
    try:
        return Camera.pinhole(fx, fy, cx, cy)
    except CameraError as error:
        raise PlugError(f"MSGA_CAMERA: {error}") from None


def _switch(name: str) -> bool:
    text = os.environ.get(name, "")
    if text not in ("", "0", "1"):
        raise PlugError(f"{name} must be 0 or 1, not {text[:80]!r}")
    return text == "1"


def _camera(given: Camera | None, size: tuple[int, int]) -> Camera:
    if given is not None:
        return given
    focal = _ASSUMED_FOCAL * max(size)
    return Camera.pinhole(focal, focal, (size[0] - 1) / 2, (size[1] - 1) / 2)
