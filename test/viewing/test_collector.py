"""Messages of several topics, in any order, become pairs of views."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from plugs.scene import Scene

from msga_ros.viewing.collector import Collector


def messages(frame: int) -> dict[str, Any]:
    scene = Scene(count=20)
    matches = scene.temporal(frame, frame + 1, width=640, height=480)
    pose = SimpleNamespace(
        header=matches.header,
        reference_header=matches.reference_header,
        status=1,
        translation_scale_known=False,
        transform=SimpleNamespace(
            translation=SimpleNamespace(x=0.0, y=0.0, z=0.0),
            rotation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0),
        ),
    )
    data = np.full(4 * 6 * 3, 9, np.uint8)
    picture = SimpleNamespace(
        header=matches.header, height=4, width=6, encoding="bgr8", is_bigendian=0, step=18,
        data=data,
    )  # fmt: skip
    return {"correspondences": matches, "relative_pose": pose, "matches_image": picture}


def test_order_does_not_matter() -> None:
    for order in (
        ("correspondences", "relative_pose", "matches_image"),
        ("matches_image", "relative_pose", "correspondences"),
    ):
        collector = Collector(expect_picture=True)
        found = []
        for name in order:
            found.append(list(collector.add(name, messages(0)[name])))
        assert [len(one) for one in found] == [0, 0, 1]
        (pair,) = found[-1]
        assert pair.picture is not None and pair.picture.shape == (4, 6, 3)
        assert len(pair.points) == 0  # no pose, no points


def test_partners_of_different_frames_stay_apart() -> None:
    collector = Collector()
    assert not list(collector.add("correspondences", messages(0)["correspondences"]))
    assert not list(collector.add("relative_pose", messages(1)["relative_pose"]))
    (pair,) = collector.add("correspondences", messages(1)["correspondences"])
    assert pair.picture is None


def test_jump_back_in_time_is_a_new_epoch() -> None:
    collector, epochs = Collector(), []
    for frame in (4, 5, 0, 1):
        for name in ("correspondences", "relative_pose"):
            epochs += [p.motion.epoch for p in collector.add(name, messages(frame)[name])]
    assert epochs == [0, 0, 1, 1]


def test_what_waits_in_vain_is_forgotten() -> None:
    collector = Collector()
    for frame in range(200):
        assert not list(collector.add("relative_pose", messages(frame)["relative_pose"]))
    assert len(collector._poses) < 100
