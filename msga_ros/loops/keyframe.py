"""What is kept of an image: its features, its camera, its global descriptor; as bytes and back."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose

_OPTIONAL = ("angles", "sizes")
_FIRST_FRONTEND = "sift"  # of keyframes that do not say of which they are
_ODOMETRY = "odometry"  # (3, 4)
_INVERSE_DEPTH = "inverse_depth"
_TEXT = "text"  # name of the tensor that holds what is no array


class KeyframeError(ValueError):
    """Bytes that are no keyframe."""


@dataclass(frozen=True)
class Keyframe:
    """`name` for people, `stamp` in seconds; `descriptor` (E,) float32 of the whole image.

    `odometry`: `x_camera = R x_odom + t`, metres; poses of one `segment` belong together, from one
    to the next the odometry jumped or began anew. `inverse_depth` (N, 2) float32 of the features,
    1/m along the optical axis, and its standard deviation, NaN where unknown; None: of none.
    `frontend`: whose features these are; `vocabulary`: whose `descriptor`, see
    `Vocabulary.identity`, "" in files of before it was kept.
    """

    name: str
    stamp: float
    camera: Camera
    features: Features
    descriptor: NDArray[np.float32]
    odometry: Pose | None = None
    segment: int = 0
    inverse_depth: NDArray[np.float32] | None = None
    frontend: str = _FIRST_FRONTEND
    vocabulary: str = ""

    def to_bytes(self) -> bytes:
        """Without the front end's payload: features are matched by their descriptors."""
        features, camera = self.features, self.camera
        text = {
            "name": self.name,
            "stamp": self.stamp,
            "distortion_model": camera.distortion_model,
            "camera_size": [camera.width, camera.height],
            "image_size": list(features.image_size),
            "segment": self.segment,
            "frontend": self.frontend,
            "vocabulary": self.vocabulary,
            "independent": features.independent,
        }
        tables = {
            "k": np.array(camera.k),
            "distortion": np.array(camera.distortion),
            "keypoints": features.keypoints,
            "scores": features.scores,
            "descriptors": features.descriptors,
            "descriptor": self.descriptor,
            _TEXT: np.frombuffer(json.dumps(text).encode(), np.uint8),
        }
        if self.odometry is not None:
            rotation, translation = self.odometry.rotation, self.odometry.translation
            tables[_ODOMETRY] = np.column_stack([rotation, translation])
        if self.inverse_depth is not None:
            tables[_INVERSE_DEPTH] = self.inverse_depth
        for name in _OPTIONAL:
            values = getattr(features, name)
            if values is not None:
                tables[name] = values
        return save({name: np.ascontiguousarray(one) for name, one in tables.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Keyframe:
        """Raises `KeyframeError`."""
        try:
            tables = load(data)
            text = json.loads(tables[_TEXT].tobytes())
            camera = Camera(
                tables["k"], text["distortion_model"], tables["distortion"], *text["camera_size"]
            )
            width, height = text["image_size"]
            features = Features(
                tables["keypoints"],
                tables["scores"],
                tables["descriptors"],
                (width, height),
                tables.get("angles"),
                tables.get("sizes"),
                independent=text.get("independent", True),
            )
            motion = tables.get(_ODOMETRY)
            return cls(
                text["name"],
                text["stamp"],
                camera,
                features,
                tables["descriptor"],
                None if motion is None else Pose(motion[:, :3], motion[:, 3]),
                text.get("segment", 0),
                tables.get(_INVERSE_DEPTH),
                text.get("frontend", _FIRST_FRONTEND),
                text.get("vocabulary", ""),
            )
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise KeyframeError(f"no keyframe: {error}") from None
