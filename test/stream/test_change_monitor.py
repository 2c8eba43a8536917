"""Changes of a stream in mid-run are named; what stays the same is not mentioned."""

from __future__ import annotations

import pytest

from msga_ros.geometry.camera import Camera
from msga_ros.stream.change_monitor import StreamChangeMonitor

SIZE = (640, 480)
CAMERA = Camera.pinhole(500.0, 500.0, 320.0, 240.0, *SIZE)


@pytest.mark.parametrize(
    ("size", "encoding", "camera", "kinds"),
    [
        (SIZE, "mono8", Camera.pinhole(500.0, 500.0, 320.0, 240.0, *SIZE), []),
        (SIZE, "bgr8", CAMERA, ["encoding_changed"]),
        (SIZE, "mono8", Camera.pinhole(480.0, 500.0, 320.0, 240.0, *SIZE), ["calibration_changed"]),
        ((320, 240), "mono8", Camera.pinhole(250.0, 250.0, 160.0, 120.0), ["size_changed"]),
        ((320, 240), "rgb8", CAMERA, ["size_changed", "encoding_changed"]),
    ],
)
def test_a_change_is_named_once(
    size: tuple[int, int], encoding: str, camera: Camera, kinds: list[str]
) -> None:
    said: list[tuple[str, str]] = []
    watch = StreamChangeMonitor(lambda kind, topic, text: said.append((kind, topic)))
    watch.observe("/left/image", SIZE, "mono8", CAMERA)
    watch.observe("/right/image", size, encoding, camera)  # another topic: nothing to compare with
    watch.observe("/left/image", size, encoding, camera)
    watch.observe("/left/image", size, encoding, camera)
    assert said == [(kind, "/left/image") for kind in kinds]
