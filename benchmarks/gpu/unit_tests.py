"""The tests that need a GPU, run as users run them: a process for each file, at the same time."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from records import Entry, Records

ROOT = Path(__file__).resolve().parents[2]
_LIMIT = 120.0  # s, for all of them together
_TRACEBACK = 3000  # characters kept of each, the last ones


def run_tests(records: Records) -> None:
    """`pytest -m gpu`: counts of each file, and the tracebacks of what failed."""
    names = [str(path.relative_to(ROOT)) for path in gpu_tests()]
    files = [name for name in names if not records.has("tests", name)]
    if not files or records.left() < 30:
        print("tests: nothing to do, or no time left", flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        runs = [_Run(file, Path(folder) / f"{number}.xml") for number, file in enumerate(files)]
        until = time.monotonic() + min(_LIMIT, records.left())
        for run in runs:
            records.measure("tests", run.file, lambda r=run: r.outcome(until), needs=0)  # type: ignore[misc]


def gpu_tests() -> list[Path]:
    """The files that have such tests: those that take their devices from `test/devices.py`."""
    files = sorted((ROOT / "test").rglob("test_*.py"))
    return [path for path in files if "from devices import" in path.read_text(encoding="utf-8")]


class _Run:
    """Pytest on one file."""

    def __init__(self, file: str, report: Path) -> None:
        self.file = file
        self._report = report
        self._output = report.with_suffix(".log")
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "--tb=short", file]
        command += ["-p", "no:cacheprovider", f"--junitxml={report}"]
        with self._output.open("w") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
            )

    def outcome(self, until: float) -> Entry:
        try:
            status = self._process.wait(max(1.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return {"error": "out of time", "output": self._output.read_text()[-_TRACEBACK:]}
        if not self._report.exists():
            return {"error": f"exit status {status}", "output": self._output.read_text()[-6000:]}
        return _read(self._report)


def _read(report: Path) -> Entry:
    """Of a JUnit file: counts, tracebacks, and why tests were skipped."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures: dict[str, str] = {}
    reasons: dict[str, int] = {}
    took = 0.0
    for case in ElementTree.parse(report).iter("testcase"):
        took += float(case.get("time", 0))
        broken = [part for part in case if part.tag in ("failure", "error")]
        skipped = case.find("skipped")
        if broken:
            counts["failed"] += 1
            text = (broken[0].text or broken[0].get("message") or "")[-_TRACEBACK:]
            failures[str(case.get("name"))] = text
            print(f"FAILED {case.get('name')}\n{text}", flush=True)
        elif skipped is not None:
            counts["skipped"] += 1
            reason = str(skipped.get("message"))
            reasons[reason] = reasons.get(reason, 0) + 1
        else:
            counts["passed"] += 1
    entry: Entry = {**counts, "failures": failures, "reasons": reasons, "tests_s": round(took, 1)}
    # What failed is run again by the next call.
    return {**entry, "error": f"{counts['failed']} failed"} if failures else entry
