"""Images too large for a robot's memory: reduced for the front end, in pixels as received."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from msga_ros.frontend import images
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.images import extraction_size
from msga_ros.two_view.chosen_stages import create_frontend

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        ((640, 480), (0, 6_000_000), (640, 480)),
        ((2448, 2048), (0, 6_000_000), (2448, 2048)),  # a usual camera of five megapixels
        ((2448, 2048), (0, 0), (2448, 2048)),
        ((8000, 6000), (800, 6_000_000), (800, 600)),
        ((8000, 6000), (0, 480_000), (800, 600)),
        ((8000, 6000), (7000, 480_000), (800, 600)),
        ((3, 10_000_000), (0, 3_000_000), (1, 3_162_277)),
    ],
)
def test_the_size_that_features_are_found_at(
    size: tuple[int, int], limits: tuple[int, int], expected: tuple[int, int]
) -> None:
    found = extraction_size(size, *limits)
    assert found == expected
    assert found[0] * found[1] <= (limits[1] or 10**12) * 1.1


@pytest.mark.parametrize("name", ["sift", "orb", "akaze"])
def test_keypoints_are_in_pixels_of_the_image(name: str) -> None:
    """Bright squares, whose corners and blobs lie where they were drawn."""
    rng = np.random.default_rng(0)
    small = cv2.GaussianBlur(rng.integers(0, 256, (240, 320)).astype(np.uint8), (0, 0), 2)
    large = cv2.resize(small, (1280, 960), interpolation=cv2.INTER_CUBIC)
    config = FrontendConfig(name=name, max_keypoints=300)
    expected = create_frontend(config).extract(small)
    limited = FrontendConfig(name=name, max_keypoints=300, max_pixels=320 * 240)
    found = create_frontend(limited).extract(large)
    assert found.image_size == (1280, 960)
    places = (expected.keypoints + 0.5) * 4 - 0.5
    gaps = np.linalg.norm(places[:, None] - found.keypoints[None], axis=2).min(axis=1)
    assert np.median(gaps) < 1.0


def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    images._say_reduced.cache_clear()
    front_end = create_frontend(FrontendConfig(name="orb", max_pixels=10_000))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            front_end.extract(np.zeros((200, 300), np.uint8))
        front_end.extract(np.zeros((50, 60), np.uint8))
    assert [record.message for record in caplog.records] == [
        "images of 300x200: their features are found at 122x81 (frontend.max_pixels), "
        "in pixels of the images as received"
    ]


def test_the_memory_of_sift_follows_the_limit() -> None:
    """Its peak in a process of its own, of an image that would take two gigabytes."""
    code = """
import re
from pathlib import Path
import numpy as np
from msga_ros.frontend.config import FrontendConfig
from msga_ros.two_view.chosen_stages import create_frontend
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
image = np.random.default_rng(0).integers(0, 256, (2500, 4000), np.uint8)
before = peak()
create_frontend(FrontendConfig(max_keypoints=50, max_pixels=600_000)).extract(image)
print(peak() - before)
"""
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert int(printed) < 300  # MiB; 220 bytes a pixel, and some to spare
