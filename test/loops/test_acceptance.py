"""What a loop needs to be accepted: its own matches, or witnesses of its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from loops.world import ring

from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.acceptance import Acceptance
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.consistency import Consistency
from msga_ros.loops.drift import OdometryChain
from msga_ros.loops.reports import UNKNOWN_VARIANCE, LoopEdge, ScaleSource
from msga_ros.odometry.poses import UncertainPose
from msga_ros.two_view.result import Status

CONFIG = LoopConfig(support=1, strong_inliers=100)
LAP = 16
TRUTH = ring(laps=2.0).views
COVARIANCE = np.diag([0.02] * 3 + [0.005] * 3) ** 2


def chain() -> OdometryChain:
    made = OdometryChain(CONFIG)
    for pose in TRUTH:
        made.append(pose, 0)
    return made


def acceptance() -> Acceptance:
    return Acceptance(chain(), CONFIG)


def loop(
    reference: int, inliers: int = 60, current: int | None = None, ahead: float = 0.0
) -> LoopEdge:
    """From a view of the first lap to that of the second, `ahead` metres off; with a length."""
    current = reference + LAP if current is None else current
    motion = TRUTH[current].relative_to(TRUTH[reference]).inverse()
    position = motion.translation + np.array([0.0, 0.0, ahead])
    pose = UncertainPose(motion.rotation, position, COVARIANCE)
    stamps, source = (0.0, 0.0), ScaleSource.DEPTH
    return LoopEdge(reference, current, *stamps, pose, inliers, source, Status.OK, 0.5)


def without_length(edge: LoopEdge) -> LoopEdge:
    pose = edge.pose
    length = float(np.linalg.norm(pose.position))
    position, covariance = pose.position / length, pose.covariance.copy()
    covariance[:3, :3] += UNKNOWN_VARIANCE * np.outer(position, position)
    known = UncertainPose(pose.rotation, position, covariance)
    return replace(edge, scale=ScaleSource.NONE, pose=known)


def from_one_spot(edge: LoopEdge) -> LoopEdge:
    covariance = edge.pose.covariance + np.diag([UNKNOWN_VARIANCE] * 3 + [0.0] * 3)
    pose = UncertainPose(edge.pose.rotation, np.zeros(3), covariance)
    return replace(edge, scale=ScaleSource.NONE, status=Status.DEGENERATE, pose=pose)


def straight(count: int, step: float) -> OdometryChain:
    made = OdometryChain(CONFIG)
    for number in range(count):
        made.append(Pose(np.eye(3), np.array([0.0, 0.0, -step * number])), 0)
    return made


def ends(edges: list[LoopEdge]) -> list[tuple[int, int]]:
    return [(one.reference, one.current) for one in edges]


def test_a_loop_waits_for_another_that_agrees_and_both_are_accepted() -> None:
    judge = acceptance()
    assert judge.take([loop(3)], []) == []
    found = judge.take([loop(4)], [])
    assert ends(found) == [(3, 3 + LAP), (4, 4 + LAP)]
    # Those that are accepted are witnesses, and not accepted again.
    assert ends(judge.take([loop(5, inliers=20)], found)) == [(5, 5 + LAP)]
    assert judge.take([loop(6)], []) == []  # nor when they have been taken back


def test_the_same_image_is_no_second_witness() -> None:
    judge = acceptance()
    assert judge.take([loop(3)], []) == []
    assert judge.take([loop(4, current=3 + LAP)], []) == []


def test_witnesses_agree_with_each_other() -> None:
    judge = Consistency(chain(), CONFIG)
    offs = np.linspace(0.0, 1.0, 101)
    reach = max(off for off in offs if judge.agree(loop(4), loop(3, ahead=off)))
    assert 0.02 < reach < 1.0
    before, after = loop(3, ahead=0.8 * reach), loop(5, ahead=-0.8 * reach)
    assert judge.supporters(loop(4), [before]) and judge.supporters(loop(4), [after])
    assert len(judge.supporters(loop(4), [before, after])) == 1


def test_many_matches_need_no_witness() -> None:
    assert ends(acceptance().take([loop(3, inliers=100)], [])) == [(3, 3 + LAP)]
    assert acceptance().take([loop(3, inliers=99)], []) == []


def test_witnesses_of_a_rotation_are_none_of_a_place() -> None:
    """A loop without a length agrees by its rotation, and is accepted by its matches alone."""
    accepted = [loop(3, inliers=200)]
    assert acceptance().take([loop(4)], accepted) != []
    assert acceptance().take([without_length(loop(4))], accepted) == []
    assert acceptance().take([without_length(loop(4, inliers=100))], accepted) != []


def test_a_loop_without_a_length_confirms_nothing() -> None:
    judge = acceptance()
    assert judge.take([loop(3)], []) == []
    strong = without_length(loop(4, inliers=200))
    assert ends(judge.take([strong], [])) == [(4, 4 + LAP)]
    assert ends(judge.take([loop(5)], [])) == [(3, 3 + LAP), (5, 5 + LAP)]  # which still waited


def test_a_loop_elsewhere_is_no_witness() -> None:
    judge = acceptance()
    assert judge.take([loop(3)], []) == []
    assert judge.take([loop(4, ahead=0.5)], []) == []


def test_a_loop_without_a_length_is_held_against_the_odometry() -> None:
    """Two places that look alike, with nothing that tells how far the points are: the odometry says
    that the robot stands elsewhere, or in the other direction."""
    drive = straight(20, 1.0)  # 19 m are uncertain by 1 m along it, and by 4 m across

    def taken(position: Sequence[float], metric: bool = False) -> bool:
        judge = Acceptance(drive, CONFIG)
        seen = loop(0, inliers=500, current=19)
        pose = UncertainPose(np.eye(3), np.array(position), COVARIANCE)
        seen = replace(seen, pose=pose)
        if not any(position):
            seen = from_one_spot(seen)
        elif not metric:
            seen = without_length(seen)
        found = judge.take([seen], [])
        assert bool(found) != bool(judge.excluded)
        return bool(found)

    assert taken([0.0, 0.0, 19.0], metric=True) and not taken([0.0, 0.0, 1.0], metric=True)
    assert taken([0.0, 0.0, 1.0]) and taken([0.3, 0.0, 1.0])  # however long that is
    assert not taken([0.0, 0.0, -1.0]) and not taken([1.0, 0.0, 0.0])
    assert not taken([0.985, 0.0, 0.174])  # 80 degrees off
    assert not taken([0.0, 0.0, 0.0])  # the same spot, 19 m away


def test_the_same_spot_is_one_from_which_no_keyframe_would_be_taken() -> None:
    for step, is_one in ((0.4 * CONFIG.keyframe_distance, True), (20.0, False)):
        judge, seen = Consistency(straight(2, step), CONFIG), loop(0, current=1)
        pose = UncertainPose(np.eye(3), seen.pose.position, COVARIANCE)
        assert judge.within_drift(from_one_spot(replace(seen, pose=pose))) == is_one


def test_the_same_spot_again() -> None:
    again = from_one_spot(loop(3, inliers=200, current=3 + LAP))
    assert ends(acceptance().take([again], [])) == [(3, 3 + LAP)]
