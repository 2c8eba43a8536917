"""The tests that need a GPU, run as users run them: a process for each file, four at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from records import Entry, Records

ROOT = Path(__file__).resolve().parents[2]
_AT_A_TIME = 4
_THREADS = "2"  # of each; with all that there are they wait for each other, twenty times as long
_LEAST = 10.0  # s: with less left no file is begun
_TRACEBACK = 3000  # characters kept of each, the last ones
_OUTPUT = 30000  # characters kept of a file that did not come to its end
# s, by importance; other files come after them.
_LIMITS = {
    "test_cuda.py": 180.0,
    "test_cuda_trouble.py": 120.0,
    "test_fixed_shapes.py": 180.0,
    "test_cuda_training.py": 180.0,
    "test_parity.py": 60.0,
    "test_fused_cuda.py": 120.0,
    "test_device_matching.py": 40.0,
    "test_matching_placement.py": 60.0,
}
_LIMIT = 60.0


def run_tests(records: Records) -> None:
    """`pytest -m gpu`: counts of each file, and the tracebacks of what failed."""
    files = [file for file in gpu_tests() if not records.has("tests", file)]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        running = {file: pool.submit(_of_a_file, file, records) for file in files}
        for file, future in running.items():
            records.measure("tests", file, future.result, needs=0)


def gpu_tests() -> list[str]:
    """The files that have such tests, the most important first: those that take their devices from
    `test/devices.py`."""
    paths = sorted((ROOT / "test").rglob("test_*.py"))
    paths = [path for path in paths if "from devices import" in path.read_text(encoding="utf-8")]
    order = list(_LIMITS)
    paths.sort(key=lambda path: order.index(path.name) if path.name in order else len(order))
    return [str(path.relative_to(ROOT)) for path in paths]


def _of_a_file(file: str, records: Records) -> Entry:
    limit = min(_LIMITS.get(Path(file).name, _LIMIT), records.left())
    if limit < _LEAST:
        raise TimeoutError("no time left")
    memory = {"free_gib_before": free_gib(records.device)} if torch.cuda.is_available() else {}
    return {**memory, **outcomes_of(file, limit)}


def free_gib(device: torch.device) -> float:
    """Memory of the card that no program has: what fails for want of it may be another's fault."""
    return round(torch.cuda.mem_get_info(device)[0] / 2**30, 1)


def outcomes_of(file: str, limit: float) -> Entry:
    """Of pytest on a file, for `limit` seconds at most: what ended until then, and all that it
    printed where it did not come to its end. A file with `error` is run again by the next call."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes, output = Path(folder) / "outcomes.jsonl", Path(folder) / "output.log"
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "--tb=short", file]
        command += ["-p", "no:cacheprovider", "-p", "outcomes", f"--outcomes={outcomes}"]
        paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "OMP_NUM_THREADS": _THREADS}
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        started = time.monotonic()
        with output.open("w") as stream:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # what tests start ends with them
            )
            try:
                ended = f"exit status {process.wait(limit)}"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                ended = f"cut off after {limit:.0f} s"
        lines = outcomes.read_text(encoding="utf-8").splitlines() if outcomes.exists() else []
        entry = _summed([json.loads(line) for line in lines])
        entry["seconds"] = round(time.monotonic() - started, 1)
        if ended not in ("exit status 0", "exit status 1", "exit status 5"):  # 5: no such test
            entry |= {"error": ended, "output": output.read_text(errors="replace")[-_OUTPUT:]}
        elif entry["failed"]:
            entry["error"] = f"{entry['failed']} failed"
    return entry


def _summed(outcomes: list[Entry]) -> Entry:
    """Counts, tracebacks, why tests were skipped, and which one never ended."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures: dict[str, str] = {}
    reasons: dict[str, int] = {}
    running: dict[str, None] = {}
    for entry in outcomes:
        test, outcome = entry["test"], entry["outcome"]
        if outcome == "running":
            running[test] = None
            continue
        running.pop(test, None)
        counts[outcome] += 1
        if outcome == "failed":
            failures[test] = entry["text"][-_TRACEBACK:]
            print(f"FAILED {test}\n{failures[test]}", flush=True)
        elif outcome == "skipped":
            reasons[entry["text"]] = reasons.get(entry["text"], 0) + 1
    found: Entry = {**counts, "failures": failures, "reasons": reasons}
    return {**found, "unfinished": list(running)} if running else found
