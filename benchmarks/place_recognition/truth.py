"""Which photographs of one place show the same: by points that their true poses triangulate.

Features are matched within the place, those that fit the true pose triangulated, and the points of
each photograph, whichever partner gave them, projected into every other one. Whether a certain pair
can be matched plays no part, only whether the two cameras look at the same points from sides that
differ by less than `WIDEST`; what stands between a camera and a point is not known.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from views import View

from msga_ros.frontend.base import Features
from msga_ros.frontend.matching import match_features
from msga_ros.geometry.epipolar import symmetric_epipolar_distance_squared
from msga_ros.geometry.pose import essential_matrix
from msga_ros.geometry.triangulation import parallax_angles, ray_depths

WIDEST = 60.0  # degrees between the two views of a point
FEWEST = 20  # points of a photograph; with fewer nothing is known of it
LEAST = 0.2  # share of the points of either photograph that the other sees: a true pair
_KEYPOINTS = 1000  # the strongest
_RATIO = 0.85
_OFF_PX = 2.0  # from the true epipolar line
_PARALLAX = np.deg2rad(1.0)


def overlaps(views: Sequence[View], features: Sequence[Features]) -> np.ndarray:
    """(N, N) of the photographs of one place: the smaller share of their points that the other
    sees; NaN where too few points are known."""
    depths = [np.full(min(len(one), _KEYPOINTS), np.nan) for one in features]
    for one, other in itertools.combinations(range(len(views)), 2):
        found = _triangulated(views[one], views[other], features[one], features[other])
        for number, (index, depth) in zip((one, other), found, strict=True):
            # Of several partners the first counts: a median would need all of them kept.
            fresh = np.isnan(depths[number][index])
            depths[number][index[fresh]] = depth[fresh]
    points = [_in_world(*one) for one in zip(views, features, depths, strict=True)]
    seen = np.full((len(views), len(views)), np.nan)
    for one, other in itertools.permutations(range(len(views)), 2):
        if len(points[one]) >= FEWEST:
            seen[one, other] = _share(points[one], views[one], views[other])
    return np.minimum(seen, seen.T)


def _triangulated(
    view0: View, view1: View, features0: Features, features1: Features
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Of each view: indices of its features, and their depths."""
    matches = match_features(_first(features0), _first(features1), _RATIO, mutual=True)
    index0, index1 = matches.feature_indices
    points0 = view0.camera.normalize(matches.keypoints0)
    points1 = view1.camera.normalize(matches.keypoints1)
    motion = view1.pose.relative_to(view0.pose)
    essential = torch.from_numpy(essential_matrix(motion.rotation, motion.translation))
    rows = torch.from_numpy(np.column_stack([points0, points1]))
    squared = symmetric_epipolar_distance_squared(rows, essential).numpy()
    focal = (view0.camera.mean_focal + view1.camera.mean_focal) / 2
    depth0, depth1 = ray_depths(points0, points1, motion.rotation, motion.translation)
    with np.errstate(invalid="ignore"):
        good = (focal * np.sqrt(squared / 2) < _OFF_PX) & (depth0 > 0) & (depth1 > 0)
    good &= parallax_angles(points0, points1, motion.rotation) > _PARALLAX
    return (index0[good], depth0[good]), (index1[good], depth1[good])


def _first(features: Features) -> Features:
    """The strongest ones; front ends put them first."""
    count = _KEYPOINTS
    return Features(
        features.keypoints[:count],
        features.scores[:count],
        features.descriptors[:count],
        features.image_size,
    )


def _in_world(view: View, features: Features, depths: np.ndarray) -> np.ndarray:
    known = np.isfinite(depths)
    points = view.camera.normalize(features.keypoints[: len(depths)][known])
    rays = np.column_stack([points, np.ones(len(points))]) * depths[known, None]
    return (rays - view.pose.translation) @ view.pose.rotation


def _share(points: np.ndarray, view: View, other: View) -> float:
    """Of `points` (M, 3) of `view`, those that lie before `other`, in its image, from a side that
    does not differ too much."""
    seen = points @ other.pose.rotation.T + other.pose.translation
    before = seen[:, 2] > 0
    pixels = other.camera.project(seen[:, :2] / np.where(before, seen[:, 2], 1.0)[:, None])
    size = (other.camera.width, other.camera.height)
    inside = before & ((pixels > -0.5) & (pixels < np.array(size) - 0.5)).all(axis=1)
    first, second = (_unit(points - one.pose.centre) for one in (view, other))
    return float((inside & ((first * second).sum(axis=1) > np.cos(np.deg2rad(WIDEST)))).mean())


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
