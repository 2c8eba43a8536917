"""The types that bags are written with are those that ROS generates."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("rosbags", reason="the library rosbags is not installed")

from msga_ros.bags.types import CORRESPONDENCES, RELATIVE_POSE, message_file, typestore


@pytest.mark.parametrize("name", [CORRESPONDENCES, RELATIVE_POSE])
def test_hash_is_the_one_of_the_build(name: str) -> None:
    """A ROS 2 player and recorder compare this hash with their own."""
    short = name.rpartition("/")[2]
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(":")
    built = [Path(one) / "share" / "msga_ros" / "msg" / f"{short}.json" for one in prefixes if one]
    found = next((path for path in built if path.is_file()), None)
    if found is None:
        pytest.skip("the ROS package is not built, or its distribution makes no hashes (Humble)")
    hashes = {one["type_name"]: one["hash_string"] for one in json.loads(found.read_text())[
        "type_hashes"
    ]}  # fmt: skip
    assert typestore().hash_rihs01(name) == hashes[name]


def test_message_files_are_found() -> None:
    assert "reference_points" in message_file(CORRESPONDENCES).read_text()
