"""Freed memory stays with the process: pages that it had are not got anew."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from msga_ros.devices.freed_memory import keep_freed_memory

FAULTS = """
import resource
from msga_ros.devices.freed_memory import keep_freed_memory

def round():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pieces = [b"x" * 3_000_000 for _ in range(20)]
    del pieces
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

done = {call}
round()
print(done, round())
"""


def faults(call: str, **environment: str) -> tuple[str, int]:
    """What `call` answers, and faults of pages when 60 MB are needed once more."""
    plain = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    plain.pop("GLIBC_TUNABLES", None)
    answer = subprocess.run(
        [sys.executable, "-c", FAULTS.format(call=call)],
        env={**plain, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    done, count = answer.stdout.split()
    return done, int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_kept() -> None:
    assert faults("None")[1] > 5000  # 60 MB are 15,000 pages
    done, count = faults("keep_freed_memory()")
    assert done == "True"
    assert count < 500


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MALLOC_TRIM_THRESHOLD_", "1000000"),
        ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=1000000"),
    ],
)
def test_thresholds_of_the_environment_stay(name: str, value: str) -> None:
    assert faults("keep_freed_memory()", **{name: value})[0] == "False"


def test_another_c_library_has_no_such_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert keep_freed_memory.__wrapped__() is False
