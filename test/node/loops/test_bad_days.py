"""Bad days of a map: what goes wrong is said, and nothing that was accepted is lost."""
# ruff: noqa: E402

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for needed in ("rclpy", "msga_ros.msg", "tf2_msgs"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from geometry_msgs.msg import TransformStamped
from msga_ros.msg import CameraImage, RequestStatus
from msga_ros.srv import Locate, SaveMap
from nav_msgs.msg import Odometry
from node.harness import camera_info, header
from node.loops.bench import START, LoopBench
from node.loops.conftest import K, scene
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from msga_ros.loops.store import KeyframeStore
from msga_ros.node.image_message import image_message

pytestmark = pytest.mark.ros

MakeBench = Callable[..., LoopBench]
WARN = b"\x01"


def go(one: LoopBench, seconds: float, x: float, number: int) -> None:
    """The robot is at `x` and sees the place `number`; waits for the verdict."""
    before = one.settled()
    one.odometry(seconds - 0.01, [x, 0, 0])
    one.odometry(seconds + 0.01, [x, 0, 0])
    one.image(seconds, scene(number), K)
    one.spin_until(lambda: one.settled() > before)


def asked(number: int, **fields: Any) -> Locate.Request:
    made = header(START, "camera")
    view = CameraImage(
        image=image_message(scene(number), made), camera_info=camera_info(K, (320, 240), made)
    )
    return Locate.Request(view=view, **fields)


def values(status: Any) -> dict[str, str]:
    return {one.key: one.value for one in status.values}


@contextmanager
def full_disk(most_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_empty_map_and_one_keyframe_answer(make_bench: MakeBench) -> None:
    one = make_bench()
    one.mount()
    answer = one.answer("locate", asked(1))
    assert answer.success and not answer.found and not answer.located
    assert answer.message == "the map is empty"
    go(one, 0, 0, 1)
    answer = one.answer("locate", asked(2))
    assert answer.success and not answer.found and "no keyframe shows the same" in answer.message
    answer = one.answer("locate", asked(1))
    assert answer.found and answer.edge.reference == 0 and answer.edge.inliers > 200
    assert answer.edge.reference_header.stamp.sec == START // 10**9
    assert answer.message


def test_requests_that_cannot_be_worked_are_answered(make_bench: MakeBench, tmp_path: Path) -> None:
    one = make_bench(active=False)
    answer = one.answer("locate", asked(1))
    assert (answer.success, answer.status.code) == (False, RequestStatus.NOT_ACTIVE)
    one.activate()
    for request, kind in (
        (Locate.Request(), "no_image"),
        (asked(1, timeout=-1.0), "timeout"),
        (Locate.Request(view=CameraImage(image=asked(1).view.image)), "camera_info"),
    ):
        answer = one.answer("locate", request)
        assert (answer.status.code, answer.status.kind) == (RequestStatus.BAD_INPUT, kind)
        assert answer.message and not answer.found
    for path in ("", "relative", str(tmp_path / "no" / "folder")):
        answer = one.answer("save_map", SaveMap.Request(path=path))
        assert (answer.status.code, answer.status.kind) == (RequestStatus.BAD_INPUT, "path")
    assert values(one.status("requests"))["refused locate no_image"] == "1"


def test_a_robot_that_stands_still_keeps_one_keyframe(make_bench: MakeBench) -> None:
    one = make_bench()
    one.mount()
    for second in range(20):
        go(one, second, 0.01 * (second % 3), 1)
    assert one.counts.images == {"keyframe": 1, "still": 19}
    assert one.counts.loops == 0 and one.heard["edges"] == []


def test_an_odometry_that_jumps_is_said_and_survived(make_bench: MakeBench) -> None:
    one = make_bench()
    one.mount()
    for second in range(4):
        go(one, 0.3 * second, 0.6 * second, second)
    go(one, 1.2, 500.0, 4)
    go(one, 1.5, 500.6, 5)
    assert one.counts.keyframes == 6
    said = values(one.status("loops"))["last_note"]
    assert "the odometry jumped by" in said
    assert one.counts.correction_known is False  # what follows has no place in the map


def test_a_clock_that_jumps_back_is_said_and_survived(make_bench: MakeBench) -> None:
    one = make_bench()
    one.mount()
    go(one, 100, 0, 1)
    go(one, 101, 1, 2)
    go(one, 5, 0, 3)  # refused at most: its odometry came before the image that told of the jump
    for second in (6, 7):
        go(one, second, second - 5, second)
    assert one.statistics.bad_input["time_jump"] == 1
    assert one.counts.keyframes >= 4
    assert one.statistics.errors == {}


def test_a_clock_that_jumps_ahead_is_survived(make_bench: MakeBench) -> None:
    one = make_bench()
    one.mount()
    for number in range(8):
        go(one, 0.3 * number + (3600 if number > 3 else 0), 0.6 * number, number)
    assert one.counts.images == {"keyframe": 8} and one.statistics.dropped == {}
    assert one.counts.correction_known is True and one.statistics.errors == {}


def test_no_odometry_at_all(make_bench: MakeBench) -> None:
    one = make_bench(**{"odometry.patience": 0.0})
    one.image(0, scene(1), K)
    one.spin_until(lambda: one.statistics.dropped == {"no_odometry": 1})
    status = one.status("odometry")
    assert status.level == WARN and status.message == "nothing has come on /odom"
    assert "no odometry for an image" in one.status("input").message


def test_a_camera_whose_place_is_not_known(make_bench: MakeBench) -> None:
    one = make_bench()
    go(one, 0, 0, 1)
    assert one.statistics.dropped == {"no_transform": 1}
    assert "the place of the camera on 'base_link' is not known" in one.status("input").message
    one.mount()
    go(one, 1, 0, 1)
    assert one.counts.images == {"keyframe": 1}


def test_images_without_camera_info_are_explained(make_bench: MakeBench) -> None:
    one = make_bench(**{"publish.no_input_warning": 0.5})
    one.image(0, scene(1), K, info=False)
    one.spin_until(lambda: "/camera_info: 0 received" in one.status("input").message)
    assert one.status("input").level == WARN


def test_without_an_odometry_keyframes_come_by_time(make_bench: MakeBench) -> None:
    one = make_bench(**{"odometry.source": "none", "images.interval": 1.0})
    for number, second in enumerate((0, 0.4, 1.1, 2.2)):
        one.image(second, scene(number), K)
        one.spin_until(lambda number=number: one.settled() > number)
    assert one.counts.images == {"keyframe": 3, "still": 1}
    assert one.status("odometry").message == "none: loops have no length"


def test_a_full_disk_loses_nothing_and_is_said(make_bench: MakeBench, tmp_path: Path) -> None:
    file = tmp_path / "map"
    one = make_bench(**{"map.file": str(file)})
    one.mount()
    go(one, 0, 0, 1)
    size = file.stat().st_size
    with full_disk(size + 1000):
        go(one, 1, 1, 2)
        assert one.statistics.dropped == {"map_file": 1}
        assert "the keyframe is not kept, all others are" in one.status("input").message
        failed = one.answer("save_map", SaveMap.Request(path=str(tmp_path / "copy")))
        assert failed.success  # as large as the map itself: that much there is room for
    assert file.stat().st_size == size
    go(one, 2, 2, 3)
    assert one.counts.keyframes == 2
    with full_disk(size):
        failed = one.answer("save_map", SaveMap.Request(path=str(tmp_path / "larger")))
    assert (failed.success, failed.status.kind) == (False, "path") and "larger" in failed.message
    assert not (tmp_path / "larger").exists()
    one.node.trigger_deactivate()
    one.node.trigger_cleanup()
    with KeyframeStore(file) as store, KeyframeStore(tmp_path / "copy") as copy:
        assert (len(store), len(copy)) == (2, 1)


def test_a_map_cut_in_half_is_gone_on_with(make_bench: MakeBench, tmp_path: Path) -> None:
    file = tmp_path / "map"
    one = make_bench(**{"map.file": str(file)})
    one.mount()
    for number in range(4):
        go(one, number, number, number)
    one.node.trigger_deactivate()
    one.node.trigger_cleanup()
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)
    one.activate()
    one.mount()
    assert 1 <= one.counts.keyframes < 4
    kept = one.counts.keyframes
    answer = one.answer("locate", asked(0))
    assert answer.found and answer.edge.reference == 0
    go(one, 10, 10, 10)
    assert one.counts.keyframes == kept + 1


@pytest.mark.parametrize("held", [True, False], ids=["in use", "no map"])
def test_a_map_that_cannot_be_had_is_said(
    make_bench: MakeBench, tmp_path: Path, held: bool
) -> None:
    file = tmp_path / "map"
    holder = KeyframeStore(file) if held else None
    if not held:
        file.write_bytes(b"a letter to grandmother")
    one = make_bench(active=False, **{"map.file": str(file)})
    one.node.trigger_configure()
    assert one.node.state == "unconfigured"
    why = "in use by another process" if held else "not a map of keyframes"
    assert one.status("model").message == f"cannot configure: {file}: {why}"
    if holder is not None:
        holder.close()
        one.activate()
        assert one.node._failure == ""
    else:
        assert file.read_bytes() == b"a letter to grandmother"


def test_an_odometry_of_nonsense_is_refused(make_bench: MakeBench) -> None:
    one = make_bench()
    one.mount()
    one.odometry(0, [np.nan, 0, 0])
    one.odometry(0, [0, 0, 0])
    one.spin_until(lambda: one.statistics.bad_input.get("odometry") == 1)
    go(one, 1, 0, 1)
    assert one.counts.images == {"keyframe": 1}


def test_reset_forgets_what_waits_and_keeps_the_map(make_bench: MakeBench) -> None:
    one = make_bench(**{"odometry.patience": 60.0})
    one.mount()
    go(one, 0, 0, 1)
    one.image(1, scene(2), K)  # waits
    assert one.answer("reset", Trigger.Request()).success
    assert one.statistics.dropped == {"reset": 1}
    go(one, 2, 2, 3)
    assert one.counts.keyframes == 2


def test_an_odometry_that_moves_its_own_frame_moves_the_base_frame(make_bench: MakeBench) -> None:
    """As VINS-Fusion says it: `world` in `world`."""
    one = make_bench(**{"odometry.base_frame": "body", "odometry.camera_in_base": "0 0 0 0 0 0"})
    for seconds in (-0.1, 0.1):
        message = Odometry(header=header(START + round(seconds * 1e9), "world"))
        message.child_frame_id = "world"
        message.pose.pose.orientation.w = 1.0
        one.inputs["odom"].publish(message)
    one.image(0, scene(1), K)
    one.spin_until(lambda: one.counts.images == {"keyframe": 1})
    newest = one.node._resources._images._buffer.newest
    assert (newest.frame, newest.child) == ("world", "body")


def test_the_odometry_may_come_by_tf(make_bench: MakeBench) -> None:
    one = make_bench(**{"odometry.source": "tf", "odometry.base_frame": "base_link"})
    one.mount()
    one.spin_until(lambda: one.tf.get_subscription_count() > 0)
    one.spin_until(lambda: one.source.count_subscribers("/tf") > 1)  # ours and the node's
    for seconds in (-0.1, 0.1):
        stamp = START + round(seconds * 1e9)
        moved = TransformStamped(header=header(stamp, "odom"), child_frame_id="base_link")
        other = TransformStamped(header=header(stamp + 1, "odom"), child_frame_id="gripper")
        for one_of in (moved, other):
            one_of.transform.rotation.w = 1.0
        moved.transform.translation.x = 4.0
        one.tf.publish(TFMessage(transforms=[other, moved]))
    one.image(0, scene(1), K)
    one.spin_until(lambda: one.counts.images == {"keyframe": 1})
    assert "/tf (odom to base_link)" in values(one.status("odometry"))["source"]
    (kept,) = one.node._resources.session.keyframes()
    assert np.allclose(kept.pose.centre, [4.2, 0, 1.0])  # where the camera sits on the robot
