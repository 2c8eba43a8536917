"""Where an image was taken: how many keyframes are looked at before the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loops.test_acceptance import CONFIG, LAP, TRUTH, loop, without_length

from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.location import locate
from msga_ros.loops.reports import Location, LoopEdge

IMAGE = LAP + 3  # the image that is looked up shows what this view shows


class Asked:
    """Loops one after another; `count` of them were asked for."""

    def __init__(self, edges: Sequence[LoopEdge]) -> None:
        self._edges = edges
        self.count = 0

    def __iter__(self) -> Iterator[LoopEdge]:
        for edge in self._edges:
            self.count += 1
            yield edge


def seen(reference: int, inliers: int, ahead: float = 0.0) -> LoopEdge:
    return loop(reference, inliers, current=IMAGE, ahead=ahead)


def ask(
    edges: Sequence[LoopEdge], poses: Sequence[Pose | None] = TRUTH[:LAP]
) -> tuple[Location, int]:
    asked = Asked(edges)
    return locate(asked, poses, CONFIG), asked.count


def test_a_strong_keyframe_is_enough() -> None:
    found, count = ask([seen(3, 100), seen(4, 200)])
    assert found.keyframe == 3 and found.pose is not None and count == 1


def test_two_weak_ones_that_agree_are() -> None:
    found, count = ask([seen(3, 50), seen(5, 40, ahead=5.0), seen(4, 60), seen(2, 200)])
    assert found.keyframe == 4 and found.edge is not None and found.edge.support == 1
    assert count == 3


def test_a_place_without_a_pose_is_not_the_end() -> None:
    unplaced = without_length(seen(3, 300))
    found, count = ask([unplaced, seen(4, 100), seen(2, 200)])
    assert found.keyframe == 4 and found.pose is not None and count == 2
    found, count = ask([unplaced, seen(4, 99)])
    assert found.keyframe == 3 and found.pose is None and count == 2


def test_a_map_without_poses_has_none_to_wait_for() -> None:
    found, count = ask([without_length(seen(3, 300)), seen(4, 400)], [None] * LAP)
    assert found.found and found.pose is None and count == 1


def test_what_is_not_found_has_been_looked_for_everywhere() -> None:
    found, count = ask([seen(3, 50), seen(5, 40, ahead=5.0)])
    assert not found.found and count == 2 and "50 matches at most" in found.reason
    assert ask([])[0].reason == "no keyframe shows the same"
    assert ask([seen(3, 100)], [])[0].reason == "the map is empty"
