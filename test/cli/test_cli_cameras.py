"""Cameras as the command line takes them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from msga_ros.cli.cameras import find_view
from msga_ros.cli.errors import UsageError

SIZE = (640, 480)

CALIBRATION = """
image_width: 640
image_height: 480
camera_name: left
camera_matrix:
  rows: 3
  cols: 3
  data: [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.2, 0.05, 0.001, -0.001, 0.0]
projection_matrix:
  rows: 3
  cols: 4
  data: [450.0, 0.0, 310.0, 0.0, 0.0, 450.0, 245.0, 0.0, 0.0, 0.0, 1.0, 0.0]
"""

ECHOED = """
header:
  frame_id: left_optical
height: 480
width: 640
distortion_model: equidistant
d: [0.1, 0.01, 0.0, 0.0]
k: [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]
r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
p: [450.0, 0.0, 310.0, 0.0, 0.0, 450.0, 245.0, 0.0, 0.0, 0.0, 1.0, 0.0]
binning_x: 0
binning_y: 0
roi: {x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}
---
header: {frame_id: left_optical}
"""


def focal_and_centre(k: np.ndarray) -> list[float]:
    return [k[0, 0], k[1, 1], k[0, 2], k[1, 2]]


def test_four_numbers() -> None:
    camera = find_view(Path("a.png"), SIZE, "500, 510,320,240", None).camera
    assert focal_and_centre(camera.k) == [500, 510, 320, 240]
    assert camera.distortion_model == "none"


def test_a_field_of_view_spans_the_width() -> None:
    camera = find_view(Path("a.png"), SIZE, None, 90.0).camera
    # The rays through the outer edges of the first and the last pixel are 90 degrees apart.
    edges = camera.normalize([[-0.5, 239.5], [639.5, 239.5]])
    angles = np.degrees(np.arctan(edges[:, 0]))
    np.testing.assert_allclose(angles, [-45.0, 45.0])
    np.testing.assert_allclose(edges[:, 1], 0.0, atol=1e-12)


@pytest.mark.parametrize(("text", "model"), [(CALIBRATION, "plumb_bob"), (ECHOED, "equidistant")])
def test_yaml_calibrations(text: str, model: str, tmp_path: Path) -> None:
    path = tmp_path / "left,raw.yaml"
    path.write_text(text)
    camera = find_view(Path("a.png"), SIZE, str(path), None).camera
    assert focal_and_centre(camera.k) == [500, 510, 320, 240]
    assert camera.distortion_model == model
    assert camera.distortion.any()
    rectified = find_view(Path("a.png"), SIZE, str(path), None, rectified=True).camera
    assert focal_and_centre(rectified.k) == [450, 450, 310, 245]
    assert rectified.distortion_model == "none"


def test_a_scene_tells_camera_and_pose_and_is_found_beside_the_image(tmp_path: Path) -> None:
    angle = math.radians(10)
    rotation = [
        [math.cos(angle), 0, math.sin(angle)],
        [0, 1, 0],
        [-math.sin(angle), 0, math.cos(angle)],
    ]
    entry = {
        "file": "b.png",
        "width": 640,
        "height": 480,
        "K": [[500, 0, 320], [0, 510, 240], [0, 0, 1]],
        "R": rotation,
        "t": [1, 2, 3],
    }
    scene = tmp_path / "scene.json"
    scene.write_text(json.dumps({"images": [{**entry, "file": "a.png", "K": []}, entry]}))
    image = tmp_path / "images" / "b.png"
    for view in (find_view(image, SIZE, None, None), find_view(image, SIZE, str(scene), None)):
        assert focal_and_centre(view.camera.k) == [500, 510, 320, 240]
        np.testing.assert_allclose(view.rotation, rotation)
        np.testing.assert_allclose(view.translation, [1, 2, 3])
        assert view.source == str(scene)
    with pytest.raises(UsageError, match=r"lists no image c\.png"):
        find_view(image.with_name("c.png"), SIZE, str(scene), None)
    with pytest.raises(UsageError, match="no camera for"):
        find_view(image.with_name("c.png"), SIZE, None, None)
    with pytest.raises(UsageError, match=r"scene\.json: not a scene"):
        find_view(image.with_name("a.png"), SIZE, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CALIBRATION, ""),
        (CALIBRATION.replace("[450.0, 0.0, 310.0", "[225.0, 0.0, 155.0").replace("245", "122"),
         "k and p are of images of different sizes"),
        (ECHOED.replace("500.0, 0.0, 320.0, 0.0, 510.0", "5.0, 0.0, 320.0, 0.0, 5.0"), "focal"),
        (ECHOED.replace("320.0", "4.0"), "principal point"),
    ],
)  # fmt: skip
def test_what_is_implausible_is_said(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    doubts = find_view(Path("a.png"), SIZE, str(path), None).doubts
    assert len(doubts) == bool(expected) and expected in "".join(doubts)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1, 2]", "no mapping"),
        ("a: 1", "neither camera_matrix nor k"),
        ("k: [0, 0, 0, 0, 0, 0, 0, 0, 0]", "zeros"),
        ("k: [1, 2, 3]", "k has 3 entries"),
        ("k: [.nan, 0, 1, 0, 1, 1, 0, 0, 1]", "NaN"),
        (ECHOED.replace("equidistant", "magic"), "magic"),
        ("a: [", "YAML"),
        ('{"images": []}', "neither camera_matrix nor k"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_named(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=reason) as caught:
        find_view(Path("a.png"), SIZE, str(path), None)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_calibration_of_another_image_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(CALIBRATION)
    with pytest.raises(UsageError, match="is 320x240 but its camera"):
        find_view(Path("a.png"), (320, 240), str(path), None)


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "nowhere.yaml", "0,0,0,0"])
def test_what_is_no_camera_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UsageError, match=text):
        find_view(Path("a.png"), SIZE, text, None)
