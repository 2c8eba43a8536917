"""The fields of `Correspondences` and `RelativePose` about an `Outcome`, as plain values.

The node puts them into ROS messages (`messages.py`), `msga_ros.bags` writes them into bags. The
pipeline says `x_cur = R x_ref + t`; the messages hold the inverse, the pose of the current camera
in the reference frame: `x_ref = R^T x_cur - R^T t`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from msga_ros.geometry.rotations import quaternion
from msga_ros.stream.processor import Outcome

Array = NDArray[np.float64]
Fields = dict[str, Any]  # of a ROS message by name: each is of a type of its own

PAIRING_STEREO = 0
PAIRING_TEMPORAL = 1
STATUS_OK = 0
STATUS_TOO_FEW_MATCHES = 1
STATUS_DEGENERATE = 2


def correspondences_fields(outcome: Outcome) -> Fields:
    """Fields of `Correspondences` by name; arrays are numpy, flat, of the type of the message."""
    result, reference, current = outcome.result, outcome.reference, outcome.current
    return {
        "header": current.header,
        "reference_header": reference.header,
        "pairing": PAIRING_STEREO if outcome.stereo else PAIRING_TEMPORAL,
        "reference_width": int(reference.size[0]),
        "reference_height": int(reference.size[1]),
        "width": int(current.size[0]),
        "height": int(current.size[1]),
        "reference_k": reference.camera.k.ravel(),
        "k": current.camera.k.ravel(),
        "rectified": bool(outcome.rectified),
        "reference_points": _flat(np.float32, result.keypoints0),
        "points": _flat(np.float32, result.keypoints1),
        "inlier_probability": _flat(np.float32, result.inlier_probability),
        "inlier": _flat(np.bool_, result.inlier),
        "track_ids": _flat(np.uint64, outcome.track_ids),
        "detected_reference": int(result.counts.detected0),
        "detected": int(result.counts.detected1),
        "matched": int(result.counts.matched),
        "network_inliers": int(result.counts.network_inliers),
        "geometric_inliers": int(result.counts.geometric_inliers),
    }


def relative_pose_fields(outcome: Outcome) -> Fields:
    """Fields of `RelativePose` by name, the transform as `translation` (3,) and `rotation` (4,).

    `rotation` is the quaternion x, y, z, w. In metres where the baseline of a stereo rig is known:
    the direction is the one that was estimated, the length that of `camera_info`; the position
    part of the covariance scales along. In metres, too, where depths tell the motion.
    """
    result = outcome.result
    matched, inliers = result.counts.matched, result.counts.geometric_inliers
    known = int(result.status) != STATUS_TOO_FEW_MATCHES
    turned = (0.0, 0.0, 0.0, 1.0)
    translation: Array = np.zeros(3)
    covariance: Array = np.zeros((6, 6))
    essential: Array = np.zeros(9)
    covariance[0, 0] = -1.0
    if outcome.metric is not None:
        motion = outcome.metric
        turned, translation = quaternion(motion.rotation), motion.position
        essential, covariance = result.essential.ravel(), motion.covariance
    elif known:
        scale = 1.0 if outcome.baseline is None else outcome.baseline
        rotation, position = current_in_reference(result.rotation, result.translation)
        turned, translation = quaternion(rotation), np.nan_to_num(scale * position)
        essential = np.asarray(result.essential, dtype=np.float64).ravel()
        estimated = np.asarray(result.covariance, dtype=np.float64)
        if np.isfinite(estimated).all() and estimated[0, 0] >= 0:
            units = np.diag([scale, scale, scale, 1.0, 1.0, 1.0])
            covariance = units @ estimated @ units
    return {
        "header": outcome.current.header,
        "reference_header": outcome.reference.header,
        "status": int(result.status),
        "translation": translation,
        "rotation": turned,
        "translation_scale_known": outcome.metric is not None
        or (known and outcome.baseline is not None),
        "covariance": covariance.ravel(),
        "essential": essential,
        "inliers": int(inliers),
        "inlier_ratio": inliers / matched if matched else 0.0,
        "median_parallax": _finite(result.median_parallax),
    }


def current_in_reference(rotation: ArrayLike, translation: ArrayLike) -> tuple[Array, Array]:
    """The inverse of `x_cur = R x_ref + t`: rotation (3, 3) and translation (3,)."""
    inverse = np.asarray(rotation, dtype=np.float64).T
    return inverse, -inverse @ np.asarray(translation, dtype=np.float64).ravel()


def _flat(kind: DTypeLike, values: ArrayLike) -> NDArray[np.generic]:
    return np.ascontiguousarray(values, dtype=kind).ravel()


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) else 0.0
