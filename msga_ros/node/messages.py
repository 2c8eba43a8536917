"""`Outcome` to the messages `Correspondences` and `RelativePose`; directions as in the .msg files.

What they say is in `contents.py`; here it becomes ROS messages.
"""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, Vector3
from numpy.typing import NDArray

from msga_ros.msg import Correspondences, RelativePose
from msga_ros.node.contents import (
    correspondences_fields,
    current_in_reference,
    quaternion,
    relative_pose_fields,
)
from msga_ros.node.processor import Outcome

__all__ = [
    "correspondences_message",
    "current_in_reference",
    "quaternion",
    "relative_pose_message",
    "transform_message",
]

Array = NDArray[np.float64]


def correspondences_message(outcome: Outcome) -> Correspondences:
    """All putative matches of the two views, inliers and outliers, in the pipeline's order."""
    fields = correspondences_fields(outcome)
    for name, typecode in (
        ("reference_points", "f"),
        ("points", "f"),
        ("inlier_probability", "f"),
        ("track_ids", "Q"),
    ):
        fields[name] = _unchecked(typecode, fields[name])
    fields["inlier"] = fields["inlier"].tolist()
    return Correspondences(**fields)


def relative_pose_message(outcome: Outcome) -> RelativePose:
    """The pose of the current view in the reference frame; see `contents.relative_pose_fields`."""
    fields = relative_pose_fields(outcome)
    fields["transform"] = _transform(fields.pop("rotation"), fields.pop("translation"))
    return RelativePose(**fields)


def transform_message(rotation: Array, translation: Array) -> Transform:
    """A `geometry_msgs/Transform`; a translation that is not known (NaN) becomes zero."""
    return _transform(quaternion(rotation), np.nan_to_num(np.asarray(translation, np.float64)))


def _transform(rotation: tuple[float, float, float, float], translation: Array) -> Transform:
    x, y, z, w = rotation
    position = Vector3(x=float(translation[0]), y=float(translation[1]), z=float(translation[2]))
    return Transform(translation=position, rotation=Quaternion(x=x, y=y, z=z, w=w))


def _unchecked(typecode: str, values: NDArray[Any]) -> array.array[Any]:
    """An `array.array`, which the setters of ROS messages take without looking at each element."""
    flat = array.array(typecode)
    flat.frombytes(values.tobytes())
    return flat
