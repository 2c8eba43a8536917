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

_OPTIONAL = ("angles", "sizes")
_TEXT = "text"  # name of the tensor that holds what is no array


class KeyframeError(ValueError):
    """Bytes that are no keyframe."""


@dataclass(frozen=True)
class Keyframe:
    """`name` for people, `stamp` in seconds; `descriptor` (E,) float32 of the whole image."""

    name: str
    stamp: float
    camera: Camera
    features: Features
    descriptor: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """Without the front end's payload: features are matched by their descriptors."""
        features, camera = self.features, self.camera
        text = {
            "name": self.name,
            "stamp": self.stamp,
            "distortion_model": camera.distortion_model,
            "camera_size": [camera.width, camera.height],
            "image_size": list(features.image_size),
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
            )
            return cls(text["name"], text["stamp"], camera, features, tables["descriptor"])
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise KeyframeError(f"no keyframe: {error}") from None
