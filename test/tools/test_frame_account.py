"""Where the frames went, by the counters of the node."""

from __future__ import annotations

from msga_ros.tools.frame_account import Account, Counters

INPUT = {"received /image": "48", "received /camera_info": "50", "complete_sets": "47"}
PROCESSING = {
    "processed": "40",
    "errors": "1",
    "dropped": "8",
    "dropped superseded": "6",
    "dropped error": "1",
    "dropped duplicate": "1",
}


def test_every_frame_is_accounted_for() -> None:
    counted = Counters.from_diagnostics(INPUT, PROCESSING)
    assert counted.settled and counted.refused == 1
    account = Account.of(sent=50, poses=40, counted=counted)
    lost = {"lost_on_the_way": 2}
    assert account.dropped == {"superseded": 6, "error": 1, "duplicate": 1, **lost}
    assert account.processed + sum(account.dropped.values()) == account.sent
    assert account.unaccounted == 0


def test_a_frame_that_nobody_wanted_is_no_drop_of_the_node() -> None:
    # The node counts it as a complete set, and under `idle`.
    counted = Counters.from_diagnostics(INPUT, PROCESSING | {"processed": "38", "idle": "2"})
    assert counted.settled
    account = Account.of(50, 38, counted)
    assert account.dropped["nobody_listened"] == 2 and account.unaccounted == 0
    assert counted.since(counted).unwanted == 0


def test_a_frame_that_nothing_explains_is_shown() -> None:
    # A set that was complete and is neither processed nor dropped.
    vanished = Counters.from_diagnostics(INPUT, PROCESSING | {"processed": "39"})
    assert not vanished.settled
    assert Account.of(50, 39, vanished).unaccounted == 1
    # All messages arrived, and yet not all sets were complete.
    whole = INPUT | {"received /image": "50", "received /camera_info": "50"}
    account = Account.of(50, 40, Counters.from_diagnostics(whole, PROCESSING))
    assert account.unaccounted == 2 and "lost_on_the_way" not in account.dropped


def test_counters_are_those_since_the_warm_up() -> None:
    before = Counters({"/image": 8}, 7, 5, {"superseded": 2})
    now = Counters({"/image": 18}, 16, 14, {"superseded": 2, "bad_input": 1})
    assert now.since(before) == Counters({"/image": 10}, 9, 9, {"bad_input": 1})


def test_a_camera_of_which_nothing_came_is_lost_on_the_way() -> None:
    silent = {"received /image": "0", "received /camera_info": "3", "complete_sets": "0"}
    account = Account.of(3, 0, Counters.from_diagnostics(silent, {}))
    assert account.dropped == {"lost_on_the_way": 3} and account.unaccounted == 0


def test_images_that_waited_in_vain_for_a_camera_info_are_dropped_by_the_node() -> None:
    inputs = {"received /image": "9", "received /camera_info": "5", "complete_sets": "5"}
    waited = {"processed": "5", "dropped": "4", "dropped no_camera_info": "4"}
    counted = Counters.from_diagnostics(inputs, waited)
    assert counted.settled
    account = Account.of(9, 5, counted)
    assert account.by_node == {"no_camera_info": 4} == account.dropped
    assert account.unaccounted == 0
