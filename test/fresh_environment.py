"""A virtual environment with the wheel of this package and what the wheel declares: nothing else.

Nothing is downloaded: the declared distributions, and what these declare, are links to those that
the tests run with.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from email.message import Message
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("msga_ros", "config", "msg", "setup.py", "pyproject.toml", "README.md", "LICENSE")


def build_wheel(folder: Path) -> Path:
    """The wheel of this package, built in `folder` from a copy of the sources."""
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            without = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=without)
        else:
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run([*pip, "--wheel-dir", str(folder), str(source)])
    (wheel,) = folder.glob("*.whl")
    return wheel


def declared(wheel: Path) -> list[Requirement]:
    """What the wheel requires on this Python, without its extras."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata: Message = Parser().parsestr(archive.read(name).decode())
    return list(applying(metadata.get_all("Requires-Dist") or [], extras=()))


def applying(lines: Sequence[str], extras: Sequence[str]) -> Iterator[Requirement]:
    """The requirements that hold on this machine with these extras."""
    for requirement in map(Requirement, lines):
        environments = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            yield requirement


def closure(requirements: Sequence[Requirement]) -> set[str]:
    """Names of the distributions that these require, and of all that those require."""
    names: set[str] = set()
    done: set[tuple[str, frozenset[str]]] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        key = (requirement.name.lower().replace("_", "-"), frozenset(requirement.extras))
        if key in done:
            continue
        done.add(key)
        names.add(key[0])
        lines = distribution(requirement.name).requires or []
        waiting += applying(lines, sorted(requirement.extras))
    return names


def link_distribution(name: str, folder: Path) -> None:
    """Links in `folder` to all that the distribution `name` has in site-packages."""
    source = distribution(name)
    root = Path(str(source.locate_file("")))
    for file in source.files or []:
        if ".." in file.parts or "__pycache__" in file.parts:
            continue
        # A folder without __init__.py may hold files of several distributions: go further down.
        for depth in range(1, len(file.parts) + 1):
            part = Path(*file.parts[:depth])
            whole = (root / part / "__init__.py").exists() or part.suffix == ".dist-info"
            if whole or (root / part).is_file():
                link = folder / part
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.is_symlink():
                    link.symlink_to(root / part)
                break


class FreshEnvironment:
    """The environment; `run` calls a command of it."""

    def __init__(self, folder: Path) -> None:
        self.wheel = build_wheel(folder)
        self.requirements = declared(self.wheel)
        self._bin = folder / "venv" / "bin"
        venv.create(folder / "venv", with_pip=True, symlinks=True)
        self.run("python", "-m", "pip", "install", "--quiet", "--no-deps", str(self.wheel))
        # Some Pythons put it there; the wheel does not declare it.
        self.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools")
        links = folder / "declared"
        for name in sorted(closure(self.requirements)):
            link_distribution(name, links)
        place = self.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        Path(place.strip(), "declared.pth").write_text(f"{links}\n")

    def run(self, program: str, *arguments: str) -> str:
        """Standard output of a program of the environment, called in a folder that has no code."""
        return run([str(self._bin / program), *arguments], cwd=self._bin.parent)


def run(command: Sequence[str], cwd: Path = ROOT) -> str:
    """Standard output of a command that must succeed; nothing of this shell's Python or ROS."""
    foreign = ("PYTHONPATH", "PYTHONHOME", "AMENT_PREFIX_PATH", "VIRTUAL_ENV")
    env = {key: value for key, value in os.environ.items() if key not in foreign}
    done = subprocess.run(
        command, cwd=cwd, env={**env, "COLUMNS": "200"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
