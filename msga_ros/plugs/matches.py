"""The inliers of a `Correspondences` message that belong to a track, in normalised coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera import Camera
from msga_ros.stream.message_set import header_ns
from msga_ros.stream.message_types import Correspondences

Array = NDArray[np.float64]

PAIRING_STEREO = 0


class PlugError(ValueError):
    """A message that a plug cannot use; the text says why."""


@dataclass(frozen=True)
class TrackedMatches:
    """M matches; row i of every array is the same scene point, `ids` (M,) its track, each once.

    `reference_pixels`, `pixels` (M, 2): of the images as received. `reference_points`, `points`
    (M, 2): the same, normalised, distortion removed. Stamps in ns.
    """

    reference_ns: int
    current_ns: int
    stereo: bool
    ids: NDArray[np.uint64]
    reference_pixels: Array
    pixels: Array
    reference_points: Array
    points: Array

    def __len__(self) -> int:
        return len(self.ids)


def tracked_matches(
    message: Correspondences, reference_camera: Camera | None = None, camera: Camera | None = None
) -> TrackedMatches:
    """The matches of a `Correspondences` message that other systems can follow.

    Outliers, matches without a track and points that the camera model cannot explain are left out.
    The cameras are those of the images; they may be left out where `message.rectified` is true,
    because then K is all there is. Raises `PlugError` where they are needed and missing.
    """
    cameras = []
    for given, k in ((reference_camera, message.reference_k), (camera, message.k)):
        if given is None and not message.rectified:
            raise PlugError("the images are not rectified: the camera_info of both views is needed")
        matrix = np.asarray(k, dtype=np.float64).reshape(3, 3)
        cameras.append(Camera(matrix) if message.rectified or given is None else given)
    reference_pixels = np.asarray(message.reference_points, dtype=np.float64).reshape(-1, 2)
    pixels = np.asarray(message.points, dtype=np.float64).reshape(-1, 2)
    ids = np.asarray(message.track_ids, dtype=np.uint64)
    if len(ids) != len(pixels):
        raise PlugError("the message has no track_ids")
    reference_points = cameras[0].normalize(reference_pixels)
    points = cameras[1].normalize(pixels)
    usable = np.asarray(message.inlier, dtype=np.bool_) & (ids > 0)
    usable &= np.isfinite(reference_points).all(axis=1) & np.isfinite(points).all(axis=1)
    rows = np.flatnonzero(usable)
    probability = np.asarray(message.inlier_probability, dtype=np.float64)[rows]
    rows = rows[np.argsort(-probability, kind="stable")]
    first = np.unique(ids[rows], return_index=True)[1]  # of each id the most probable match
    rows = rows[first]
    return TrackedMatches(
        reference_ns=header_ns(message.reference_header),
        current_ns=header_ns(message.header),
        stereo=int(message.pairing) == PAIRING_STEREO,
        ids=ids[rows],
        reference_pixels=reference_pixels[rows],
        pixels=pixels[rows],
        reference_points=reference_points[rows],
        points=points[rows],
    )
