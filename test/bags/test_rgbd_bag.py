"""`msga bag --mode rgbd`: a colour image with registered depth over time, in metres."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bags.bag_maker import START_NS, TYPES, Item, image_message, info_message, make_header, write
from bags.test_run import raw, read, stamp

from msga_ros.datasets.sequences.base import LEFT
from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence

FRAMES = 6
PARAMETERS = {"mode": "rgbd", "rectified": False, "frontend.name": "sift", "pose.threshold_px": 1.0}


@pytest.fixture(scope="module")
def scene() -> SyntheticSequence:
    return SyntheticSequence(
        SyntheticOptions(
            frames=FRAMES, frames_per_round=300, width=400, height=300, focal=300.0, stereo=False,
            depth=True,
        )
    )  # fmt: skip


def items(scene: SyntheticSequence, compressed: bool = False) -> list[Item]:
    found: list[Item] = []
    for number, frame in enumerate(scene):
        assert frame.depth is not None
        time_ns = START_NS + number * 100_000_000
        header = make_header(time_ns, "camera")
        grey = cv2.cvtColor(frame.images[LEFT], cv2.COLOR_BGR2GRAY)
        image = image_message(grey, header)
        info = info_message(frame.cameras[LEFT], header, grey.shape, 0.0)
        depth = depth_message(frame.depth, header, compressed)
        topic = "/depth/image" + ("/compressedDepth" if compressed else "")
        for name, message in (("/image", image), ("/camera_info", info), (topic, depth)):
            found.append((name, message.__msgtype__, time_ns, message))
    return found


def depth_message(depth: np.ndarray, header: Any, compressed: bool) -> Any:
    height, width = depth.shape
    if not compressed:
        return TYPES["sensor_msgs/msg/Image"](
            header=header, height=height, width=width, encoding="32FC1", is_bigendian=0,
            step=4 * width, data=depth.view(np.uint8).ravel(),
        )  # fmt: skip
    pixels = np.nan_to_num(1000 * depth).round().astype(np.uint16)
    data = struct.pack("<iff", 0, 0.0, 0.0) + cv2.imencode(".png", pixels)[1].tobytes()
    return TYPES["sensor_msgs/msg/CompressedImage"](
        header=header, format="16UC1; compressedDepth", data=np.frombuffer(data, np.uint8)
    )


@pytest.mark.parametrize("compressed", [False, True])
def test_the_way_is_in_metres(
    tmp_path: Path, scene: SyntheticSequence, process: Any, compressed: bool
) -> None:
    source = write(tmp_path / "in", items(scene, compressed))
    target, summary, warnings = process(source, parameters=PARAMETERS)
    assert warnings == [] and summary.by_status == {"OK": FRAMES - 1}
    found = read(target)
    assert all(one.translation_scale_known for one in found["/msga/relative_pose"])
    assert len(found["/msga/temporal_pose"]) == FRAMES - 1
    way = found["/msga/odometry"]
    assert [stamp(one.header) for one in way] == [
        START_NS + number * 100_000_000 for number in range(FRAMES)
    ]
    poses = [scene.poses(number)[LEFT] for number in (0, FRAMES - 1)]
    true = poses[0].rotation @ poses[1].centre + poses[0].translation
    at = way[-1].pose.pose.position
    assert np.linalg.norm([at.x, at.y, at.z] - true) < 0.05 * np.linalg.norm(true)


def test_an_interrupted_run_goes_on_where_it_was(
    tmp_path: Path, scene: SyntheticSequence, process: Any
) -> None:
    source = write(tmp_path / "in", items(scene))
    whole, _, _ = process(source, "whole", parameters=PARAMETERS)
    with pytest.raises(KeyboardInterrupt):
        process(source, "broken", parameters=PARAMETERS, stop_after=11)
    resumed, summary, _ = process(source, "broken", parameters=PARAMETERS)
    assert summary.resumed == 3
    assert raw(resumed) == raw(whole)
