"""What a `Correspondences` message says of tracks, in normalised coordinates."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

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

    `ids` increase. `reference_pixels`, `pixels` (M, 2): of the images as received.
    `reference_points`, `points` (M, 2): the same, normalised, distortion removed. `paired` (M,):
    seen in both views; False in a stereo pair alone, where only the left view follows the track:
    `pixels` and `points` are then NaN. `probability` (M,): 0..1, of the match. Stamps in ns.
    """

    reference_ns: int
    current_ns: int
    stereo: bool
    ids: NDArray[np.uint64]
    reference_pixels: Array
    pixels: Array
    reference_points: Array
    points: Array
    paired: NDArray[np.bool_]
    probability: Array

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, rows: NDArray[np.int64]) -> TrackedMatches:
        """These `rows`, in their order."""
        columns = {
            field.name: getattr(self, field.name)[rows]
            for field in fields(self)
            if field.name not in ("reference_ns", "current_ns", "stereo")
        }
        return replace(self, **columns)


def tracked_matches(
    message: Correspondences, reference_camera: Camera | None = None, camera: Camera | None = None
) -> TrackedMatches:
    """The matches of a `Correspondences` message that other systems can follow.

    Matches without a track and points that the camera model cannot explain are left out, and over
    time outliers. Of a stereo pair, an outlier with a track is a point of the left view alone. The
    cameras are those of the images; they may be left out where `message.rectified` is true, because
    then K is all there is. Raises `PlugError` where they are needed and missing.
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
    stereo = int(message.pairing) == PAIRING_STEREO
    followed = (ids > 0) & np.isfinite(reference_points).all(axis=1)
    paired = followed & np.asarray(message.inlier, dtype=np.bool_) & np.isfinite(points).all(axis=1)
    probability = np.asarray(message.inlier_probability, dtype=np.float64)
    rows = np.flatnonzero(followed if stereo else paired)
    rows = rows[np.lexsort((-probability[rows], ~paired[rows]))]
    first = np.unique(ids[rows], return_index=True)[1]  # of each id the most probable match
    rows = rows[first]
    seen = paired[rows, None]
    return TrackedMatches(
        reference_ns=header_ns(message.reference_header),
        current_ns=header_ns(message.header),
        stereo=stereo,
        ids=ids[rows],
        reference_pixels=reference_pixels[rows],
        pixels=np.where(seen, pixels[rows], np.nan),
        reference_points=reference_points[rows],
        points=np.where(seen, points[rows], np.nan),
        paired=paired[rows],
        probability=probability[rows],
    )
