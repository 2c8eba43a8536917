"""`make setup` where `.venv` is not its own to make anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A working tree with the scripts alone: whatever is set up in it fails at once."""
    made = tmp_path / "tree"
    (made / "scripts").mkdir(parents=True)
    for name in ("setup_environment.py", "ros_wheels.py"):
        shutil.copy(ROOT / "scripts" / name, made / "scripts")
    return made


def environment(folder: Path, shebang: str) -> Path:
    """What stands for a virtual environment: its pip says where it was made."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "pip").write_text(f"#!{shebang}/bin/python3\n")
    return folder


def set_up(tree: Path) -> subprocess.CompletedProcess[str]:
    found = {key: value for key, value in os.environ.items() if key != "ROS_DISTRO"}
    script = [sys.executable, str(tree / "scripts" / "setup_environment.py")]
    return subprocess.run(script, capture_output=True, text=True, env=found, check=False)


def test_the_environment_of_another_tree_is_left_as_it_is(tree: Path, tmp_path: Path) -> None:
    other = environment(tmp_path / "other" / ".venv", str(tmp_path / "other" / ".venv"))
    (tree / ".venv").symlink_to(other)
    done = set_up(tree)
    assert done.returncode == 0 and "is of another folder: left as it is" in done.stdout
    assert (other / "bin" / "pip").is_file() and not (tree / ".setup" / "python").exists()


def test_a_link_to_what_is_no_environment_is_named_and_nothing_emptied(
    tree: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / "lib").mkdir(parents=True)  # half of one: somebody is making it
    (tree / ".venv").symlink_to(other)
    done = set_up(tree)
    assert done.returncode != 0 and "remove the link" in done.stderr
    assert (other / "lib").is_dir()


def test_an_own_environment_behind_a_link_is_used(tree: Path, tmp_path: Path) -> None:
    version = "python{}.{}".format(*sys.version_info[:2])
    own = environment(tmp_path / "disk" / "venv", str(tree / ".venv"))
    (own / "lib" / version).mkdir(parents=True)
    (own / "bin" / "python").symlink_to(sys.executable)
    (tree / ".venv").symlink_to(own)
    done = set_up(tree)
    assert done.returncode != 0 and "constraints.txt" in done.stderr  # it has begun to set up
