"""What the table of faults says."""

from __future__ import annotations

import tempfile
from pathlib import Path

from faults.report import without_folders


def test_temporary_folders_are_no_part_of_the_table() -> None:
    folder = Path(tempfile.gettempdir()) / "pytest-7" / "loops0"
    assert (
        without_folders(f"cannot configure: {folder}/map: no map")
        == "cannot configure: map: no map"
    )
    assert without_folders("/left/image: another QoS") == "/left/image: another QoS"
