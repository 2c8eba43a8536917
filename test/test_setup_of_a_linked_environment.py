"""`make setup` in a tree whose `.venv` is a link to that of another tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_other_tree_keeps_its_environment(tmp_path: Path) -> None:
    other, tree = tmp_path / "other", tmp_path / "tree"
    (other / "bin").mkdir(parents=True)
    (other / "bin" / "python").write_text("")
    (tree / "scripts").mkdir(parents=True)
    for name in ("setup_environment.py", "ros_wheels.py"):
        shutil.copy(ROOT / "scripts" / name, tree / "scripts")
    (tree / ".venv").symlink_to(other)
    command = [sys.executable, str(tree / "scripts" / "setup_environment.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f".venv is a link to {other.resolve()}: used as it is" in done.stdout
    assert sorted(path.name for path in other.rglob("*")) == ["bin", "python"]
    assert not (tree / ".setup").exists()
