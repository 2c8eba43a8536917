"""`msga bag` on a full disk: one line with the name of the output, and the run goes on later."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from bags.bag_maker import Drive, write


def msga_bag(source: Path, target: Path, most: int | None) -> subprocess.CompletedProcess[str]:
    """The command, which can write no file beyond so many bytes (None: any)."""

    def limited() -> None:
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    command = [sys.executable, "-m", "msga_ros.cli", "bag", str(source), str(target)]
    settings = ["--set", "frontend.name=orb", "--set", "frontend.max_keypoints=500"]
    return subprocess.run(
        [*command, *settings], preexec_fn=limited, capture_output=True, text=True, check=False
    )


def test_the_output_is_named_and_the_run_goes_on(tmp_path: Path, drive: Drive) -> None:
    source, target = write(tmp_path / "in", drive.stereo(range(2))), tmp_path / "out"
    stopped = msga_bag(source, target, 4096)
    assert stopped.returncode == 2
    assert "Traceback" not in stopped.stderr
    assert f"{target}: File too large" in stopped.stderr.replace("\n", " ")
    assert not target.exists()
    again = msga_bag(source, target, None)
    assert again.returncode == 0, again.stderr
    assert (target / "metadata.yaml").exists()
