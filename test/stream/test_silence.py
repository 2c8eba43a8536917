"""Why messages make up no sets: what is said about their stamps."""

from __future__ import annotations

import pytest

from msga_ros.stream.pairing import StandingStamps
from msga_ros.stream.silence import STAMPS_DISAGREE, advice

TOPICS = {"image": "/cam/image", "camera_info": "/cam/camera_info"}
BOTH = {"image": 5, "camera_info": 5}
NOW = 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    ("stamps", "stands"),
    [
        ([], None),
        ([0], None),  # one message tells nothing
        ([0, 0], 0),
        ([7, 7, 7], 7),
        ([1, 2, 3], None),
        ([3, 2, 1], None),
        ([1, 2, 2], None),  # two publishers of one topic
        ([1, 2, 2, 3, 3], None),
        ([1, 2, 2, 2], 2),  # it moved, and has stopped
        ([2, 2, 2, 3], None),
    ],
)
def test_where_stamps_stand(stamps: list[int], stands: int | None) -> None:
    standing = StandingStamps()
    for one in stamps:
        standing.add(one)
    assert standing.stamp == stands


def test_empty_stamps_are_no_matter_of_a_tolerance() -> None:
    zero = dict.fromkeys(TOPICS, 0)
    assert advice(BOTH, zero, zero, TOPICS) == [
        "/cam/image, /cam/camera_info: the stamps do not advance (0.000000000): the driver leaves "
        "header.stamp empty"
    ]
    one = advice(BOTH, {"image": NOW, "camera_info": 0}, {"camera_info": 0}, TOPICS)
    assert len(one) == 1 and one[0].startswith("/cam/camera_info: the stamps do not advance")


def test_stamps_that_stand_side_by_side_are() -> None:
    """The same two pictures over and over, some milliseconds apart."""
    newest = {"image": NOW, "camera_info": NOW + 5_000_000}
    lines = advice(BOTH, newest, newest, TOPICS)
    assert len(lines) == 3 and lines[-1] == STAMPS_DISAGREE
    assert lines[0] == (
        "/cam/image: the stamps do not advance (1700000000.000000000): the driver repeats "
        "header.stamp"
    )


def test_stamps_that_move_and_do_not_agree() -> None:
    newest = {"image": NOW, "camera_info": NOW + 9_000_000_000}
    assert advice(BOTH, newest, {}, TOPICS) == [STAMPS_DISAGREE]
    assert advice({"image": 5, "camera_info": 0}, {"image": NOW}, {}, TOPICS) == []
