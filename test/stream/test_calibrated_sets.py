"""Images and the calibration that belongs to them, by how cameras publish camera_info."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from stream.fakes import raw_image, raw_info

from msga_ros.stream.calibrated_sets import CalibratedSets
from msga_ros.stream.message_set import STEREO_INPUTS, TEMPORAL_INPUTS, stamp_ns

MS = 1_000_000
START = 1_700_000_000_000 * MS


class Bench:
    """Sets of one camera; stamps in ms."""

    def __init__(self, camera_info: str = "auto", names=TEMPORAL_INPUTS, **options: object) -> None:
        self.sets: list[tuple[int, ...]] = []
        self.drops: list[str] = []
        self.said: list[str] = []
        self.jumps: list[float] = []
        self.collector = CalibratedSets(
            names,
            lambda found: self.sets.append(
                tuple((stamp_ns(found[name]) - START) // MS for name in names)
            ),
            self.drops.append,
            self.jumps.append,
            camera_info=camera_info,
            say=self.said.append,
            **options,
        )

    def image(self, *stamps: int, name: str = "image") -> Bench:
        for stamp in stamps:
            self.collector.add(name, raw_image(START + stamp * MS, size=(4, 4)))
        return self

    def info(self, *stamps: int, name: str = "camera_info") -> Bench:
        for stamp in stamps:
            self.collector.add(name, raw_info(START + stamp * MS))
        return self


def each(bench: Bench, stamps: range, *ways: Callable[[int], object]) -> Bench:
    for stamp in stamps:
        for way in ways:
            way(stamp)
    return bench


FRAMES = range(0, 1000, 100)
PAIRED = [(stamp, stamp) for stamp in FRAMES]


def test_with_each_image_before_or_after_it() -> None:
    for image_first in (True, False):
        bench = Bench()
        ways = (bench.image, bench.info) if image_first else (bench.info, bench.image)
        assert each(bench, FRAMES, *ways).sets == PAIRED
        assert bench.said == [] and bench.drops == []
        assert bench.collector.by_last == frozenset()


def test_a_burst_of_images_waits_for_theirs() -> None:
    bench = Bench().image(*FRAMES).info(*FRAMES)
    assert bench.sets == PAIRED
    assert bench.said == []


def test_published_once() -> None:
    """Latched: every frame is used, and none waits once that is known."""
    bench = Bench().info(-5000).image(0, 100)
    assert bench.sets == []
    bench.image(200)
    assert bench.sets == [(0, -5000), (100, -5000), (200, -5000)]
    bench.image(300)
    assert bench.sets[3:] == [(300, -5000)]
    assert bench.said == ["camera_info"] and bench.drops == []
    assert bench.collector.by_last == {"camera_info"}


def test_published_once_after_the_first_images() -> None:
    bench = Bench().image(0, 100).info(150)
    assert bench.sets == [(0, 150), (100, 150)]
    assert bench.image(200, 300, 400).sets[2:] == [(200, 150), (300, 150), (400, 150)]
    assert bench.image(500).sets[5:] == [(500, 150)]
    assert bench.said == ["camera_info"]


def test_slower_than_the_images() -> None:
    bench = Bench()
    for stamp in FRAMES:
        bench.image(stamp)
        if stamp % 400 == 0:
            bench.info(stamp)
    assert [image for image, _ in bench.sets] == list(FRAMES)
    assert bench.said == ["camera_info"] and bench.drops == []
    assert bench.sets[0] == (0, 0)


def test_once_it_is_known_to_be_slow_no_image_waits() -> None:
    bench = Bench()
    for number in range(40):
        bench.image(100 * number)
        if number % 4 == 0:
            bench.info(100 * number)
        if number >= 3:
            assert bench.sets[-1][0] == 100 * number
    assert len(bench.sets) == 40


def test_other_stamps_than_the_images() -> None:
    bench = Bench()
    each(bench, FRAMES, bench.image, lambda at: bench.info(at + 3))
    assert [image for image, _ in bench.sets] == list(FRAMES)
    assert bench.said == ["camera_info"] and bench.drops == []


def test_one_that_is_missing_costs_no_frame_and_spoils_no_other() -> None:
    bench = Bench()
    for stamp in FRAMES:
        bench.image(stamp)
        if stamp != 200:
            bench.info(stamp)
    assert bench.sets == [(at, 300 if at == 200 else at) for at in FRAMES]
    assert bench.said == ["camera_info"]
    assert bench.collector.by_last == frozenset()


def test_they_are_waited_for_again_once_they_follow_their_images() -> None:
    bench = Bench().info(-1).image(0, 100, 200)
    assert bench.collector.by_last == {"camera_info"}
    each(bench, range(300, 1000, 100), bench.image, bench.info)
    assert bench.sets[3:6] == [(300, -1), (400, 300), (500, 400)]
    assert bench.sets[6:] == [(at, at) for at in range(600, 1000, 100)]
    assert bench.said == ["camera_info"]


def test_without_any_the_oldest_images_are_dropped_and_counted() -> None:
    bench = Bench(queue_size=4).image(*FRAMES)
    assert bench.sets == []
    assert bench.drops == ["no_camera_info"] * 6
    assert bench.info(600).sets == [(600, 600)]


def test_equal_means_equal() -> None:
    bench = Bench("equal").info(0).image(*FRAMES)
    assert bench.sets == [(0, 0)]


def test_the_last_one_never_makes_an_image_wait() -> None:
    bench = Bench("last").image(0).info(50)
    assert bench.sets == [(0, 50)]
    assert bench.image(100).info(100).image(200).sets[1:] == [(100, 50), (200, 100)]
    assert bench.said == []


def test_within_slop() -> None:
    bench = Bench(slop=0.005)
    each(bench, FRAMES, bench.image, lambda at: bench.info(at + 4))
    assert bench.sets == [(at, at + 4) for at in FRAMES]
    assert bench.said == []
    bench.collector.set_slop(0.0)
    bench.image(2000).info(2004)
    assert bench.sets[-1] == (2000, 2004) and bench.said == ["camera_info"]


def test_what_is_published_once_outlives_a_reset_and_a_jump_back() -> None:
    bench = Bench().info(0).image(1000, 1100, 1200)
    bench.collector.reset()
    assert bench.image(2000).sets[3:] == [(2000, 0)]
    assert bench.image(100).sets[4:] == [(100, 0)]
    assert bench.jumps == [pytest.approx(1.9)]
    assert bench.drops == []


def test_a_loop_waits_for_its_own() -> None:
    """What is newer only because time has jumped is no sign that nothing will come."""
    bench = Bench()
    each(bench, range(5000, 5300, 100), bench.image, bench.info)
    each(bench, range(0, 300, 100), bench.image, bench.info)
    assert bench.sets[3:] == [(0, 0), (100, 100), (200, 200)]
    assert bench.said == []


def test_images_that_wait_when_time_jumps_back_are_counted() -> None:
    bench = Bench().image(5000, 5100).image(0)
    assert bench.drops == ["no_camera_info"] * 2


def test_an_older_camera_info_is_no_jump_back() -> None:
    bench = Bench().info(9000, 0, 100, 200).image(9000)
    assert bench.jumps == [] and bench.sets == [(9000, 9000)]


def test_at_the_end_nothing_is_left() -> None:
    bench = Bench().info(-100).image(0, 100)
    bench.collector.finish()
    assert bench.sets == [(0, -100), (100, -100)]
    bench = Bench().image(0, 100)
    bench.collector.finish()
    assert bench.drops == ["no_camera_info"] * 2


def test_the_sides_of_a_rig_are_judged_apart() -> None:
    bench = Bench(names=STEREO_INPUTS).info(-1, name="right/camera_info")
    for stamp in FRAMES:
        for name in STEREO_INPUTS[:3]:
            (bench.image if name.endswith("image") else bench.info)(stamp, name=name)
    assert bench.sets == [(at, at, at, -1) for at in FRAMES]
    assert bench.said == ["right/camera_info"]
    assert bench.collector.newest["right/camera_info"] == START - MS


def test_one_side_that_is_slow_takes_nothing_from_the_other() -> None:
    """The right one comes with each image, after it, and goes on being waited for."""
    bench = Bench(names=STEREO_INPUTS).info(-1, name="left/camera_info")
    for at in range(0, 600, 100):
        bench.image(at, name="left/image").image(at, name="right/image")
        bench.info(at, name="right/camera_info")
    assert bench.sets == [(at, -1, at, at) for at in range(0, 600, 100)]
    assert bench.said == ["left/camera_info"]


def test_calibrations_from_files_are_not_waited_for() -> None:
    bench = Bench(names=("left/image", "right/image"))
    bench.image(0, name="left/image").image(0, name="right/image")
    assert bench.sets == [(0, 0)]
    assert Bench(names=("image",), slop=0.1).image(0, 100).sets == [(0,), (100,)]


def test_what_waited_under_another_tolerance_is_forgotten() -> None:
    bench = Bench().image(0)
    bench.collector.set_slop(0.0)  # as before: it still waits
    assert bench.info(0).sets == [(0, 0)]
    bench.image(100)
    bench.collector.set_slop(0.02)
    assert bench.info(100).sets == [(0, 0)]
    assert bench.image(200).info(205).sets == [(0, 0), (200, 205)]


def test_a_queue_of_one_waits_for_no_second_image() -> None:
    bench = Bench(queue_size=1).info(-5000).image(0, 100)
    assert bench.sets == [(0, -5000), (100, -5000)]
    assert bench.drops == []
