"""What is on the disk counts as done only where it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from msga_ros.bags.journal import Entry, Journal, Message


def entry(number: int) -> Entry:
    """An entry of two messages with contents of their own."""
    contents = [bytes([number, other]) * 50 for other in (1, 2)]
    return Entry({"number": number}, tuple(Message("/t", number, data) for data in contents))


def written(folder: Path, count: int = 4) -> Path:
    journal = Journal(folder, "this run")
    for number in range(count):
        journal.append(entry(number))
    journal.close()
    return folder / "journal.bin"


def numbers(folder: Path) -> list[int]:
    journal = Journal(folder, "this run")
    found = [one.header["number"] for one in journal.entries()]
    assert len(found) == journal.count
    journal.close()
    return found


def test_entries_come_back_as_they_were(tmp_path: Path) -> None:
    written(tmp_path)
    journal = Journal(tmp_path, "this run")
    assert list(journal.entries()) == [entry(number) for number in range(4)]
    assert journal.last == {"number": 3}


@pytest.mark.parametrize("share", [0.3, 0.55, 0.6, 0.95])
def test_a_garbled_entry_and_all_after_it_are_not_done(tmp_path: Path, share: float) -> None:
    """Whatever byte it is: of the lengths, the header or a message."""
    path = written(tmp_path)
    content = bytearray(path.read_bytes())
    size = len(content) // 4
    for position in (int(share * len(content)), size + 4, 2 * size - 1):
        garbled = bytearray(content)
        garbled[position] ^= 0x10
        path.write_bytes(garbled)
        assert numbers(tmp_path) == list(range(position // size))


def test_what_broke_off_is_written_again(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    journal = Journal(tmp_path, "this run")
    assert journal.count == 3
    journal.append(entry(7))
    journal.close()
    assert numbers(tmp_path) == [0, 1, 2, 7]


def test_another_run_begins_with_nothing(tmp_path: Path) -> None:
    written(tmp_path)
    assert Journal(tmp_path, "another run").count == 0


def test_a_cut_forgets_the_rest(tmp_path: Path) -> None:
    written(tmp_path)
    journal = Journal(tmp_path, "this run")
    journal.cut(2)
    assert (journal.count, journal.last) == (2, {"number": 1})
    journal.close()
    assert numbers(tmp_path) == [0, 1]


def test_a_state_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    written(tmp_path)
    journal = Journal(tmp_path, "this run")
    assert journal.kept_state() == (0, b"")
    journal.keep_state(3, b"the state")
    assert journal.kept_state() == (3, b"the state")
    path = tmp_path / "state.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    assert journal.kept_state() == (0, b"")
    path.write_bytes(whole)
    journal.cut(2)  # a state after entries that are not there is none
    assert journal.kept_state() == (0, b"")
