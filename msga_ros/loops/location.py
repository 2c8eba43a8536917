"""Where one image was taken, by the loops that it would close."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.pose import rotation_angle_deg
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.reports import Location, LoopEdge

_AGREE_M, _AGREE_SHARE, _AGREE_DEG = 0.3, 0.1, 5.0  # two places of one image, by two keyframes


def locate(edges: Iterable[LoopEdge], poses: Sequence[Pose | None], config: LoopConfig) -> Location:
    """From verified loops of one image with keyframes at `poses`, map to camera.

    Found where `config.support` other keyframes put it to the same place, or by one with
    `config.strong_inliers`; of several the one with most inliers is taken. Of `edges`, most similar
    keyframes first, no further one is asked for once the pose is known.
    """
    if not len(poses):
        return Location(False, "the map is empty")
    nowhere = all(pose is None for pose in poses)
    seen: list[LoopEdge] = []
    for edge in edges:
        seen.append(edge)
        location = _of_all(seen, poses, config)
        if location.found and (location.pose is not None or nowhere):
            return location
    return _of_all(seen, poses, config)


def _of_all(
    edges: Sequence[LoopEdge], poses: Sequence[Pose | None], config: LoopConfig
) -> Location:
    if not edges:
        return Location(False, "no keyframe shows the same")
    places = [_place(edge, poses) for edge in edges]
    support = [
        sum(_agree(edge, place, other) for other in places if other is not place)
        for edge, place in zip(edges, places, strict=True)
    ]
    certain = [
        one
        for one, edge in enumerate(edges)
        if edge.inliers >= config.strong_inliers
        or (places[one] is not None and support[one] >= config.support)
    ]
    if not certain:
        most = max(edge.inliers for edge in edges)
        return Location(
            False,
            f"{len(edges)} keyframes seem to show the same, with {most} matches at most, and "
            "do not agree where it is",
        )
    best = max(certain, key=lambda one: (places[one] is not None, edges[one].inliers))
    reason = (
        "" if places[best] is not None else "the length of the way from the keyframe is unknown"
    )
    return Location(True, reason, replace(edges[best], support=support[best]), places[best])


def _place(edge: LoopEdge, poses: Sequence[Pose | None]) -> Pose | None:
    reference = poses[edge.reference]
    if reference is None or not edge.metric:
        return None
    return Pose(edge.pose.rotation, edge.pose.position).inverse().after(reference)


def _agree(edge: LoopEdge, first: Pose | None, second: Pose | None) -> bool:
    if first is None or second is None:
        return False
    apart = float(np.linalg.norm(first.centre - second.centre))
    turned = rotation_angle_deg(first.rotation @ second.rotation.T)
    allowed = _AGREE_M + _AGREE_SHARE * float(np.linalg.norm(edge.pose.position))
    return apart < allowed and turned < _AGREE_DEG
