"""Messages of a node whose matches come and go, as they do on real images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from plugs.scene import Scene

COUNT = 1600  # keypoints in sight; a hundred new ones in every frame
NEW = 100
MODES = ("stereo", "temporal", "keyframe")


@cache
def messages(mode: str) -> tuple[SimpleNamespace, ...]:
    """See `_messages`."""
    return tuple(_messages(mode))


def _messages(mode: str, frames: int = 30, seed: int = 0) -> Iterator[SimpleNamespace]:
    """Correspondences over `frames` frames, row i of frame f the point `f * NEW + i`.

    One of ten points of a frame has no match, one of ten an outlier. `stereo`: left against right,
    where an outlier has the track of its left point. `temporal`: from frame to frame, so that a
    track that was lost is another one. `keyframe`: against every fifth frame, to which a match
    comes back.
    """
    rng = np.random.default_rng(seed)
    scene = Scene(COUNT + frames * NEW, seed=seed)
    tracks: dict[int, int] = {}
    newest = 0
    before: set[int] = set()
    for frame in range(1, frames):
        first = frame * NEW
        seen = np.arange(first, first + COUNT)
        if mode == "keyframe" and frame % 5 == 1:
            tracks = {point: track for point, track in tracks.items() if point in before}
        draw = rng.random(COUNT)
        matched = draw > 0.1
        inlier = draw > 0.2
        found = seen[inlier] if mode != "stereo" else seen[draw > 0.05]
        if mode == "temporal":  # a track is from frame to frame
            tracks = {point: track for point, track in tracks.items() if point in found}
        for point in found.tolist():
            if point not in tracks:
                newest += 1
                tracks[point] = newest
        before = set(found.tolist())
        ids = np.array([tracks[p] if p in before else 0 for p in seen.tolist()], np.uint64)
        whole: Any = scene.stereo(frame) if mode == "stereo" else scene.temporal(frame - 1, frame)
        part = slice(first, first + COUNT)
        rows = np.flatnonzero(matched)
        yield SimpleNamespace(
            **{
                **vars(whole),
                "reference_points": whole.reference_points.reshape(-1, 2)[part][rows].ravel(),
                "points": whole.points.reshape(-1, 2)[part][rows].ravel(),
                "inlier_probability": rng.random(len(rows)).astype(np.float32),
                "inlier": inlier[rows],
                "track_ids": ids[rows],
            }
        )
