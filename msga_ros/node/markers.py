"""`~/markers`: triangulated inliers and the frusta of the two cameras, in the current frame."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from msga_ros.geometry.camera import Camera
from msga_ros.geometry.triangulation import triangulate
from msga_ros.stream.processor import Outcome
from msga_ros.stream.settings import Settings

Array = NDArray[np.float64]

# Colours that a colour-blind person can tell apart (Okabe and Ito).
_BLUE = ColorRGBA(r=0.0, g=0.447, b=0.698, a=1.0)
_ORANGE = ColorRGBA(r=0.902, g=0.624, b=0.0, a=1.0)
_SKY = ColorRGBA(r=0.337, g=0.706, b=0.914, a=1.0)


def markers_message(outcome: Outcome, settings: Settings) -> MarkerArray:
    """Inliers as points, current camera orange, reference camera sky blue.

    Everything lies in the current optical frame at the stamp of the current image. A translation
    without scale is drawn `publish.marker_baseline` long. Without a pose the array only clears what
    was there before.
    """
    result = outcome.result
    if int(result.status) != 0:
        return MarkerArray(markers=[Marker(header=outcome.current.header, action=Marker.DELETEALL)])
    scale = (
        outcome.baseline if outcome.baseline is not None else settings["publish.marker_baseline"]
    )
    points = inlier_points(outcome, settings["publish.marker_max_depth"]) * scale
    size = 0.3 * scale
    rotation = np.asarray(result.rotation, dtype=np.float64)
    translation = scale * np.asarray(result.translation, dtype=np.float64).ravel()
    reference = frustum(outcome.reference.camera, outcome.reference.size, size)
    current = frustum(outcome.current.camera, outcome.current.size, size)
    header = outcome.current.header
    cloud = _marker(header, "inliers", Marker.POINTS, 0.03 * scale, _BLUE, points)
    cloud.scale.y = cloud.scale.x
    return MarkerArray(
        markers=[
            cloud,
            _marker(
                header,
                "current_camera",
                Marker.LINE_LIST,
                0.02 * scale,
                _ORANGE,
                current,
            ),
            _marker(
                header,
                "reference_camera",
                Marker.LINE_LIST,
                0.02 * scale,
                _SKY,
                reference @ rotation.T + translation,
            ),
        ]
    )


def inlier_points(outcome: Outcome, max_depth: float) -> Array:
    """Triangulated inliers (M, 3) in the current frame, in baselines, those in front and near."""
    result = outcome.result
    inlier = np.asarray(result.inlier, dtype=bool)
    points0 = outcome.reference.camera.normalize(result.keypoints0[inlier])
    points1 = outcome.current.camera.normalize(result.keypoints1[inlier])
    in_reference = triangulate(points0, points1, result.rotation, result.translation)
    points = in_reference @ np.asarray(result.rotation).T + np.asarray(result.translation).ravel()
    depth = points[:, 2]
    near = np.isfinite(points).all(axis=1) & (depth > 0) & (depth < max_depth)
    return np.asarray(points[near], dtype=np.float64)


def frustum(camera: Camera, size: tuple[int, int], depth: float) -> Array:
    """The 8 edges of a viewing pyramid (16, 3): pairs of ends, in the camera's optical frame."""
    width, height = size
    pixels = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], float)
    # K alone: a corner of a strongly distorted image may have no ray at all.
    rays = np.linalg.solve(camera.k, np.column_stack([pixels, np.ones(4)]).T).T
    corners = depth * rays
    apex = np.zeros(3)
    edges = [end for corner in corners for end in (apex, corner)]
    edges += [end for i in range(4) for end in (corners[i], corners[(i + 1) % 4])]
    return np.array(edges)


def _marker(
    header: object,
    namespace: str,
    kind: int,
    width: float,
    color: ColorRGBA,
    points: Array,
) -> Marker:
    marker = Marker(header=header, ns=namespace, id=0, type=kind, action=Marker.ADD, color=color)
    marker.pose.orientation.w = 1.0
    marker.scale.x = width
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in points.tolist()]
    return marker
