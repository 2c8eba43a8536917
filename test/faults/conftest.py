"""What all faults share: weights, pictures, and the table that they fill."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.footage import Footage
from faults.report import ALL, Report


@pytest.fixture(scope="session")
def footage() -> Footage:
    """Pictures with true poses."""
    return Footage()


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest, footage: Footage) -> Iterator[Report]:
    """Writes its table once all faults of `make faults` were survived."""
    made, started = Report(), time.monotonic()
    yield made
    files = {one.path for one in request.session.items}
    whole = ALL and files >= set(Path(__file__).parent.glob("test_*.py"))
    if whole and not request.config.option.keyword and request.session.testsfailed == 0:
        made.write(footage.name, time.monotonic() - started)
