"""From recorded photographs to what the consumers take: messages of a bag through the plugs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_data import shared_path

pytest.importorskip("rosbags", reason="the library rosbags is not installed")

from bags.bag_maker import QUICK, Drive, load_pipeline, write
from plugs.test_vins import consume

from msga_ros.bags.options import read_settings
from msga_ros.bags.reading import Bag
from msga_ros.bags.run import Request, run
from msga_ros.bags.types import typestore
from msga_ros.network import CheckpointError, packaged_weights
from msga_ros.plugs.g2o import pose_graph_lines
from msga_ros.plugs.matches import tracked_matches
from msga_ros.plugs.msckf import stereo_measurement
from msga_ros.plugs.vins import FeatureClouds


def results(folder: Path, stereo: bool) -> tuple[Drive, dict[str, list[Any]]]:
    """Messages by the last part of their topic."""
    try:
        packaged_weights()
    except CheckpointError as error:
        pytest.skip(str(error))
    drive = Drive(shared_path("data/scenes/kitti_stereo_seq1"))
    items = drive.stereo(range(4)) if stereo else drive.mono(range(4))
    source = write(folder / "in", items)
    settings = read_settings(None, {**QUICK, "mode": "stereo" if stereo else "temporal"})
    request = Request(source, folder / "out", settings)
    run(request, lambda: load_pipeline(settings), lambda _: None)
    bag, found = Bag(folder / "out"), {}  # type: ignore[var-annotated]
    for raw in bag.messages(bag.types):
        message = typestore().deserialize_cdr(raw.data, raw.kind)
        found.setdefault(raw.topic.rpartition("/")[2], []).append(message)
    return drive, found


def test_tracks_go_on_and_edges_join(tmp_path: Path) -> None:
    _, found = results(tmp_path, stereo=False)
    clouds = FeatureClouds()
    frames = [consume(clouds(tracked_matches(one))) for one in found["correspondences"]]
    assert len(frames) == 3
    for before, after in pairwise(frames):
        common = before.keys() & after.keys()
        assert len(common) > 20  # the same scene points, under the same ids
        for identity in common:
            moved = after[identity][0][1][:2] - before[identity][0][1][:2]
            velocity = after[identity][0][1][5:7]
            np.testing.assert_allclose(velocity * 0.1, moved, atol=2e-3)
    lines = [line.split()[0] for line in pose_graph_lines(found["relative_pose"])]
    assert lines.count("VERTEX_SE3:QUAT") == 4
    assert lines.count("EDGE_SE3:QUAT") == 3


def test_stereo_measurements_follow_the_same_points(tmp_path: Path) -> None:
    drive, found = results(tmp_path, stereo=True)
    focal = drive.camera(0, "left").k[0, 0]
    seen: list[dict[int, np.ndarray]] = []
    for message in found["correspondences"]:
        measurement = stereo_measurement(tracked_matches(message))
        u0, v0, u1, v1 = measurement.coordinates.T
        seen.append(dict(zip(measurement.ids.tolist(), measurement.coordinates, strict=True)))
        if len(u0):
            assert np.median(u0 - u1) > 0  # rectified: a disparity, and no vertical one
            assert np.median(np.abs(v0 - v1)) * focal < 1.0
    assert len(seen[0]) > 20  # a track begins where its point is seen first
    growth = []
    for before, after in pairwise(seen):
        common = sorted(before.keys() & after.keys())
        assert len(common) >= 15
        disparity = [[one[i][0] - one[i][2] for i in common] for one in (before, after)]
        growth.extend(np.subtract(disparity[1], disparity[0]))
    # The car drives forward: points come nearer, their disparity grows; over all steps, since a
    # step's growth is less than the pixel that keypoints are found to.
    assert np.mean(growth) > 0
