"""The tests that need a GPU, run as users run them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from records import Entry, Records

ROOT = Path(__file__).resolve().parents[2]


def run_tests(records: Records) -> None:
    """`pytest -m gpu`; its counts, and what failed."""
    records.measure("tests", "gpu", _run, needs=60)


def _run() -> Entry:
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "--tb=short"]
    command += ["-p", "no:cacheprovider", "test/network/test_cuda.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    print(done.stdout[-6000:], done.stderr[-1500:], flush=True)
    last = [line for line in done.stdout.splitlines() if line.strip()][-1:]
    counts = {
        kind: int(n) for n, kind in re.findall(r"(\d+) (passed|failed|skipped|error)", str(last))
    }
    failed = re.findall(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
    return {"exit_status": done.returncode, **counts, "failures": failed}
