"""Folders with scene.json: real ones where they are, small ones made here always."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from shared_data import shared_path

from msga_ros.datasets.sequences.base import LEFT, RIGHT, SequenceError
from msga_ros.datasets.sequences.folder import FolderSequence
from msga_ros.geometry.pose import rotation_angle_deg


def _write_scene(folder: Path, entries: list[dict[str, Any]], **extra: Any) -> Path:
    (folder / "images").mkdir(parents=True)
    images = []
    for number, entry in enumerate(entries):
        entry = {
            "file": f"{number}.png",
            "width": 64,
            "height": 48,
            "K": [[50.0, 0.0, 31.5], [0.0, 50.0, 23.5], [0.0, 0.0, 1.0]],
            "R": np.eye(3).tolist(),
            "t": [0.0, 0.0, 0.0],
            "timestamp": None,
            **entry,
        }
        images.append(entry)
        cv2.imwrite(str(folder / "images" / entry["file"]), np.full((48, 64), number, np.uint8))
    (folder / "scene.json").write_text(json.dumps({"images": images, **extra}))
    return folder


def test_real_stereo_sequence() -> None:
    sequence = FolderSequence(shared_path("data/scenes/kitti_stereo_seq2"), stereo=True)
    assert len(sequence) == 51
    assert sequence.cameras == (LEFT, RIGHT)
    assert sequence.rate == pytest.approx(10.0, rel=0.1)
    first, later = sequence[0], sequence[10]
    assert first.images[LEFT].shape[:2] == (310, 1024)
    assert first.poses is not None
    assert later.poses is not None
    rig = first.poses[RIGHT].relative_to(first.poses[LEFT])
    np.testing.assert_allclose(rig.translation, [-0.537, 0.0, 0.0], atol=1e-3)
    assert rotation_angle_deg(rig.rotation) < 0.01
    driven = np.linalg.norm(later.poses[LEFT].centre - first.poses[LEFT].centre)
    assert 2.0 < driven < 25.0
    assert later.stamp > first.stamp


def _with_depth(folder: Path, scale: object, depth: np.ndarray) -> Path:
    _write_scene(folder, [{"depth": "a.png"}, {"depth": "a.png"}], depth_scale=scale)
    (folder / "depth").mkdir()
    cv2.imwrite(str(folder / "depth" / "a.png"), depth)
    return folder


def test_depth_is_in_metres_and_read_where_it_is_asked_for(tmp_path: Path) -> None:
    raw = np.full((48, 64), 5000, np.uint16)
    raw[3, 7] = 0
    folder = _with_depth(tmp_path / "scene", 2500, raw)
    depth = FolderSequence(folder, stereo=False, depth=True)[1].depth
    assert depth is not None
    np.testing.assert_array_equal(np.argwhere(np.isnan(depth)), [[3, 7]])
    assert np.nanmin(depth) == np.nanmax(depth) == 2.0
    (folder / "depth" / "a.png").unlink()
    assert FolderSequence(folder, stereo=False)[1].depth is None
    with pytest.raises(SequenceError, match=r"a\.png: not a readable depth image"):
        FolderSequence(folder, stereo=False, depth=True)[0]


@pytest.mark.parametrize("scale", [0, -1, "much", None])
def test_depth_scale_that_is_none(tmp_path: Path, scale: object) -> None:
    folder = _with_depth(tmp_path / "scene", scale, np.ones((48, 64), np.uint16))
    with pytest.raises(SequenceError, match="depth_scale"):
        FolderSequence(folder, stereo=False, depth=True)


@pytest.mark.parametrize("shape", [(48, 63), (24, 32)])
def test_depth_images_that_do_not_fit(tmp_path: Path, shape: tuple[int, int]) -> None:
    folder = _with_depth(tmp_path / "scene", 1000, np.ones(shape, np.uint16))
    with pytest.raises(SequenceError, match="16 bits"):
        FolderSequence(folder, stereo=False, depth=True)[0]
    eight = _with_depth(tmp_path / "eight", 1000, np.ones((48, 64), np.uint8))
    with pytest.raises(SequenceError, match="16 bits"):
        FolderSequence(eight, stereo=False, depth=True)[0]


def test_a_folder_without_depth_says_so(tmp_path: Path) -> None:
    folder = _write_scene(tmp_path / "scene", [{}, {"depth": "a.png"}])
    with pytest.raises(SequenceError, match="not every image has a depth image"):
        FolderSequence(folder, stereo=False, depth=True)


def test_real_unrectified_stereo_pairs_have_no_temporal_order() -> None:
    folder = shared_path("data/scenes/euroc_v101_stereo_micro")
    sequence = FolderSequence(folder, stereo=True)
    assert len(sequence) == 15
    frame = sequence[3]
    assert frame.poses is not None
    rig = frame.poses[RIGHT].relative_to(frame.poses[LEFT])
    assert np.linalg.norm(rig.translation) == pytest.approx(0.11, abs=0.005)
    assert rotation_angle_deg(rig.rotation) > 0.5
    with pytest.raises(SequenceError, match="only be paired"):
        FolderSequence(folder, stereo=False)


def test_real_photographs_of_one_camera() -> None:
    sequence = FolderSequence(shared_path("data/scenes/strecha_fountain_p11"), stereo=False)
    assert len(sequence) == len({frame.stamp for frame in sequence}) > 5
    with pytest.raises(SequenceError, match="left and a right"):
        FolderSequence(shared_path("data/scenes/strecha_fountain_p11"), stereo=True)


def test_stereo_views_are_joined_by_frame_and_sorted_by_time(tmp_path: Path) -> None:
    entries = [
        {"cam": "cam1", "frame": 1, "timestamp": 5.5},
        {"cam": "cam0", "frame": 1, "timestamp": 5.5},
        {"cam": "cam0", "frame": 2, "timestamp": 5.0},
        {"cam": "cam1", "frame": 2, "timestamp": 5.0, "t": [-0.1, 0.0, 0.0]},
        {"cam": "cam0", "frame": 3, "timestamp": 6.0},
    ]
    sequence = FolderSequence(_write_scene(tmp_path / "scene", entries), stereo=True)
    frames = list(sequence)
    assert [frame.stamp for frame in frames] == [5.0, 5.5]
    assert [int(frame.images[LEFT][0, 0]) for frame in frames] == [2, 1]
    assert [int(frame.images[RIGHT][0, 0]) for frame in frames] == [3, 0]
    assert sequence.rate == pytest.approx(2.0)
    assert frames[0].poses is not None
    np.testing.assert_allclose(frames[0].poses[RIGHT].centre, [0.1, 0.0, 0.0])


def test_images_are_read_when_needed_and_truth_may_be_missing(tmp_path: Path) -> None:
    folder = _write_scene(tmp_path / "scene", [{"R": None, "t": None}, {}])
    (folder / "images" / "1.png").unlink()
    sequence = FolderSequence(folder, stereo=False)
    assert len(sequence) == 2
    assert sequence[0].poses is None
    with pytest.raises(SequenceError, match=r"1\.png: not a readable image"):
        sequence[1]


def test_image_of_another_size_is_an_error(tmp_path: Path) -> None:
    folder = _write_scene(tmp_path / "scene", [{"width": 65}])
    with pytest.raises(SequenceError, match=r"scene\.json says"):
        FolderSequence(folder, stereo=False)[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no scene.json"),
        ("{", "cannot be read"),
        ("[]", "list 'images'"),
        ('{"images": []}', "has no image"),
        ('{"images": [{"file": "a.png"}]}', r"images\[0\]: KeyError"),
        (
            '{"images": [{"file": "a", "width": 2, "height": 2,'
            ' "K": [[0, 0, 0], [0, 0, 0], [0, 0, 0]]}]}',
            r"images\[0\]: CameraError",
        ),
    ],
)
def test_broken_description(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "scene.json").write_text(text)
    with pytest.raises(SequenceError, match=message):
        FolderSequence(tmp_path, stereo=False)
