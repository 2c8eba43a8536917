"""Where the tests find the shared data set: beside the repository, or at `MSGA_SHARED`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("MSGA_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def shared_path(relative: str) -> Path:
    """The file or folder `relative` of the shared data; skips the test where it is absent."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"shared data not found: {path}")
    return path
