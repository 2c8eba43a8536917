"""Bad days of a map: each is said, and nothing that was accepted is lost."""

from __future__ import annotations

import resource
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from faults.fault import Fault
from faults.feed import Feed, reliable
from faults.loop_feed import LOOPS, LoopFeed

PARAMETERS = {
    "sieve.name": "none",
    "frontend.max_keypoints": 500,
    "odometry.camera_in_base": "0 0 0 0 0 0",
    "loops.keyframe_distance": 0.1,
    "loops.min_inliers": 20,
    "loops.strong_inliers": 50,
    "publish.diagnostics_period": 0.2,
    "publish.no_input_warning": 1.0,
    **reliable(f"/{name}" for name in LOOPS),
}
_HOUR = 100  # images, one in 36 s
_SPEED, _ALONG = 20.0, 300.0  # m/s, m


def of_loops(hurt: Callable[[LoopFeed], None]) -> Callable[[Feed], None]:
    """A fault is hurt by the feed of its node."""
    return lambda feed: hurt(cast(LoopFeed, feed))


def empty(feed: LoopFeed) -> None:
    """Nothing is found in a map of nothing, and it is no error."""
    feed.forget()
    answer = feed.locate(feed.view(0))
    assert answer.success and not answer.found and answer.message == "the map is empty", answer


def one_keyframe(feed: LoopFeed) -> None:
    """Nothing is found of another place, and it is no loop."""
    feed.forget()
    feed.keyframe(feed.view(0))
    noise = np.random.default_rng(0).integers(0, 256, feed.view(0).pixels.shape, np.uint8)
    answer = feed.locate(type(feed.view(0))(noise, feed.view(0).k, np.eye(3), np.zeros(3)))
    assert answer.success and not answer.found and not answer.located, answer
    assert feed.counter("keyframes") == 1 and feed.counter("loops") == 0


def stands_still(feed: LoopFeed) -> None:
    """An hour before one view: no keyframe of it but the first, and no loop to itself."""
    view = feed.view(feed.next_frame())
    feed.keyframe(view)
    before, loops = feed.counter("keyframes"), feed.counter("loops")
    settled = feed.settled()
    for _ in range(_HOUR):
        feed.now += 35_900_000_000
        feed.drive(view)
    feed.run.wait_for(lambda: feed.settled() >= settled + _HOUR, 60.0, "verdicts")
    feed.run.fresh_diagnostic("loops")
    assert (feed.counter("keyframes"), feed.counter("loops")) == (before, loops)


def odometry_jumps(feed: LoopFeed) -> None:
    """It is half a kilometre off from one image to the next."""
    for _ in range(2):  # its velocity is known
        feed.keyframe(feed.view(feed.next_frame()))
    feed.shift = np.array([500.0, 0.0, 0.0])
    feed.keyframe(feed.view(feed.next_frame()))


def clock_jumps(feed: LoopFeed) -> None:
    """All stamps go back by ten minutes."""
    feed.now -= 600_000_000_000
    for _ in range(4):  # the first may be refused: it tells of the jump
        feed.drive(feed.view(feed.next_frame()))
        feed.spin(0.2)


@contextmanager
def full_disk(feed: LoopFeed) -> Any:
    """No file of the node may become larger than the map is."""
    process = feed.run.process
    assert process is not None
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    size = feed.file.stat().st_size
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size + 100, before[1]))
    try:
        yield size
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)


def disk_full(feed: LoopFeed) -> None:
    """The keyframe that does not fit is refused; the file is as it was."""
    kept = feed.counter("keyframes")
    with full_disk(feed) as size:
        feed.keyframe(feed.view(feed.next_frame()))
        feed.run.fresh_diagnostic("loops")
        assert feed.counter("keyframes") == kept and feed.file.stat().st_size == size


def cut_in_half(feed: LoopFeed) -> None:
    """What lies in the first half is gone on with."""
    kept = feed.counter("keyframes")
    feed.change("deactivate", "cleanup")
    with feed.file.open("r+b") as file:
        file.truncate(feed.file.stat().st_size // 2 + 100)
    feed.change("configure", "activate")
    feed.run.fresh_diagnostic("loops")
    assert 1 <= feed.counter("keyframes") < kept


def no_map(feed: LoopFeed) -> None:
    """The node does not touch it, and says so until the file is a map again."""
    feed.change("deactivate", "cleanup")
    data = feed.file.read_bytes()
    feed.file.write_bytes(b"a letter to grandmother")
    try:
        feed.change("configure")
    except AssertionError:
        feed.run.wait_for(lambda: feed.said("not a map of keyframes", 0), what="the reason")
    else:
        raise AssertionError("it took a letter for a map")
    assert feed.file.read_bytes() == b"a letter to grandmother"
    feed.file.write_bytes(data)
    feed.change("configure", "activate")


def looks_alike(feed: LoopFeed) -> None:
    """What was seen before stands again where the robot, 300 m on, cannot have seen it."""
    _twin(feed, keyframes=4)


def looks_alike_seen_once(feed: LoopFeed) -> None:
    """Likewise, of a single keyframe: nothing tells how far its points are."""
    _twin(feed, keyframes=1)


def _twin(feed: LoopFeed, keyframes: int) -> None:
    feed.forget()
    for frame in range(keyframes):
        feed.tick(9)
        feed.keyframe(feed.view(frame))
    view = feed.view(min(1, keyframes - 1))
    feed.tick(9)
    faster = [4.0, 8.0, 12.0, 16.0]  # m/s: no jump
    for speed in (*faster, *[_SPEED] * round(_ALONG / _SPEED / 0.1), *faster[::-1], 0.0):
        feed.shift += np.array([0.1 * speed, 0.0, 0.0])
        feed.odometry(feed.tick(), view)
    feed.tick(9)
    feed.keyframe(view)
    feed.run.fresh_diagnostic("loops")
    counts = feed.counter("keyframes"), feed.counter("loops")
    assert counts == (keyframes + 1, 0), feed.run.diagnostic("loops")


FAULTS: tuple[Fault, ...] = (
    Fault("empty map", of_loops(empty), says="0 keyframes, 0 loops"),
    Fault("map of one keyframe", of_loops(one_keyframe), says="1 keyframes, 0 loops"),
    Fault("stands still for an hour", of_loops(stands_still), counts="images still"),
    Fault(
        "odometry jumps by 500 m",
        of_loops(odometry_jumps),
        says="the odometry jumped by [45].*",
        quick=True,
    ),
    Fault("clock goes back by 10 minutes", of_loops(clock_jumps), says="time jumped back.*"),
    Fault(
        "disk full",
        of_loops(disk_full),
        says="the keyframe is not kept, all others are: .*",
        counts="dropped map_file",
        quick=True,
    ),
    Fault("map file cut in half", of_loops(cut_in_half), says="bytes of a record cut short.*"),
    Fault("map file is none", of_loops(no_map), says="cannot configure: .*"),
    Fault("two places look alike", of_loops(looks_alike), says="where it cannot be by the.*"),
    Fault(
        "two places look alike, seen once",
        of_loops(looks_alike_seen_once),
        says="where it cannot be by the.*",
    ),
)
