"""`Outcome` to the messages `Correspondences` and `RelativePose`; directions as in the .msg files.

The pipeline says `x_cur = R x_ref + t`; the message holds the inverse, the pose of the current
camera in the reference frame: `x_ref = R^T x_cur - R^T t`.
"""

from __future__ import annotations

import array
import math
from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, Vector3
from numpy.typing import ArrayLike, NDArray

from msga_ros.msg import Correspondences, RelativePose
from msga_ros.node.processor import Outcome

Array = NDArray[np.float64]


def correspondences_message(outcome: Outcome) -> Correspondences:
    """All putative matches of the two views, inliers and outliers, in the pipeline's order."""
    result, reference, current = outcome.result, outcome.reference, outcome.current
    message = Correspondences(header=current.header, reference_header=reference.header)
    stereo, temporal = Correspondences.PAIRING_STEREO, Correspondences.PAIRING_TEMPORAL
    message.pairing = stereo if outcome.stereo else temporal
    message.reference_width, message.reference_height = map(int, reference.size)
    message.width, message.height = map(int, current.size)
    message.reference_k = reference.camera.k.ravel()
    message.k = current.camera.k.ravel()
    message.rectified = outcome.rectified
    message.reference_points = _flat("f", result.keypoints0)
    message.points = _flat("f", result.keypoints1)
    message.inlier_probability = _flat("f", result.inlier_probability)
    message.inlier = np.asarray(result.inlier, dtype=bool).tolist()
    message.track_ids = _flat("Q", outcome.track_ids)
    message.detected_reference = result.counts.detected0
    message.detected = result.counts.detected1
    message.matched = result.counts.matched
    message.network_inliers = result.counts.network_inliers
    message.geometric_inliers = result.counts.geometric_inliers
    return message


def relative_pose_message(outcome: Outcome) -> RelativePose:
    """The pose of the current view in the reference frame.

    In metres where the baseline of a stereo rig is known: the direction is the one that was
    estimated, the length that of `camera_info`; the position part of the covariance scales along.
    """
    result = outcome.result
    message = RelativePose(header=outcome.current.header, reference_header=outcome.reference.header)
    message.status = int(result.status)
    matched, inliers = result.counts.matched, result.counts.geometric_inliers
    message.inliers = inliers
    message.inlier_ratio = inliers / matched if matched else 0.0
    message.median_parallax = _finite(result.median_parallax)
    covariance = np.zeros((6, 6))
    covariance[0, 0] = -1.0
    if message.status != RelativePose.STATUS_TOO_FEW_MATCHES:
        scale = 1.0 if outcome.baseline is None else outcome.baseline
        message.translation_scale_known = outcome.baseline is not None
        rotation, translation = current_in_reference(result.rotation, result.translation)
        message.transform = transform_message(rotation, scale * translation)
        message.essential = np.asarray(result.essential, dtype=np.float64).ravel()
        estimated = np.asarray(result.covariance, dtype=np.float64)
        if np.isfinite(estimated).all() and estimated[0, 0] >= 0:
            units = np.diag([scale, scale, scale, 1.0, 1.0, 1.0])
            covariance = units @ estimated @ units
    message.covariance = covariance.ravel()
    return message


def current_in_reference(rotation: ArrayLike, translation: ArrayLike) -> tuple[Array, Array]:
    """The inverse of `x_cur = R x_ref + t`: rotation (3, 3) and translation (3,)."""
    inverse = np.asarray(rotation, dtype=np.float64).T
    return inverse, -inverse @ np.asarray(translation, dtype=np.float64).ravel()


def transform_message(rotation: Array, translation: Array) -> Transform:
    """A `geometry_msgs/Transform`; a translation that is not known (NaN) becomes zero."""
    x, y, z, w = quaternion(rotation)
    known = np.nan_to_num(np.asarray(translation, dtype=np.float64))
    return Transform(
        translation=Vector3(x=float(known[0]), y=float(known[1]), z=float(known[2])),
        rotation=Quaternion(x=x, y=y, z=z, w=w),
    )


def quaternion(rotation: Array) -> tuple[float, float, float, float]:
    """Unit quaternion (x, y, z, w), w >= 0, of a rotation matrix (3, 3)."""
    r = np.asarray(rotation, dtype=np.float64)
    trace = float(np.trace(r))
    # The eigenvector of the largest eigenvalue is exact for every angle (Bar-Itzhack 2000).
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0, 0, 0],
            [r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], 0, 0],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1], 0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], trace],
        ]
    )
    vector = np.linalg.eigh(k)[1][:, -1]
    if vector[3] < 0:
        vector = -vector
    x, y, z, w = (float(one) for one in vector)
    return x, y, z, w


def _flat(typecode: str, values: ArrayLike) -> array.array[Any]:
    """An `array.array`, which the setters of ROS messages take without looking at each element."""
    flat = array.array(typecode)
    flat.frombytes(np.ascontiguousarray(values, dtype=np.dtype(typecode)).tobytes())
    return flat


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) else 0.0
