"""A plugin of pytest that writes what became of each test when it ends, as JSON lines: a run that
is cut off has said all it knew (`pytest -p outcomes --outcomes FILE`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The file."""
    parser.addoption("--outcomes", type=Path, required=True)


def pytest_configure(config: pytest.Config) -> None:
    """Write to that file from now on."""
    config.pluginmanager.register(_Writer(config.getoption("--outcomes")))


class _Writer:
    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write(nodeid, outcome="running")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            text = report.longreprtext
            if report.skipped and isinstance(report.longrepr, tuple):
                text = report.longrepr[2].removeprefix("Skipped: ")
            self._write(report.nodeid, outcome=report.outcome, seconds=report.duration, text=text)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(f"::{report.nodeid}", outcome="failed", text=report.longreprtext)

    def _write(self, test: str, **entry: Any) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"test": test.partition("::")[2] or test, **entry}) + "\n")
