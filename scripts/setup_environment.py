"""Set up everything that the make targets need; run it as `make setup`.

Three steps, each skipped while nothing that it depends on has changed:

1. `.venv` with the pinned Python packages, and this package itself as an editable install;
2. ROS 2 as wheels in the same environment, and the repair of their CMake files;
3. messages and package built with colcon (symbolic links: edits of Python files are live).

Where a ROS 2 distribution is sourced, it is used and step 2 falls away. Standard library only.
"""

import sys

if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "setup: Python %d.%d is not supported (3.10 to 3.13 are); "
        "try: make setup PYTHON=python3.12" % sys.version_info[:2]
    )

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from ros_wheels import local_setup, repair_cmake_files

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMPS = ROOT / ".setup"
# Message packages that every ROS 2 distribution has, and that have no wheel.
INTERFACES = ROOT / "interfaces"
VERSION = "{}.{}".format(*sys.version_info[:2])
_UNQUOTED = ":;\"'`$\\&|<>()*?!#"  # of a path, in colcon's scripts and in lists of paths


def main() -> None:
    """Run the steps that are due; nothing where `.venv` is a link: it is another tree's."""
    if VENV.is_symlink():
        say(f".venv is a link to {VENV.resolve()}: used as it is, nothing is set up")
        return
    STAMPS.mkdir(exist_ok=True)
    with (STAMPS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs of make at once must not meet in .venv
        started = time.monotonic()
        distribution = sourced_distribution()
        python_key = digest(
            [*ROOT.glob("requirements*.txt"), ROOT / "constraints.txt", ROOT / "setup.py"],
            [str(ROOT), VERSION, str(distribution)],
        )
        # With another one of these, nothing that was built before is of any use.
        base_key = digest([ROOT / "requirements-ros.txt"], [str(ROOT), VERSION, str(distribution)])
        build_key = digest(
            [
                *(ROOT / "CMakeLists.txt", ROOT / "package.xml"),
                *ROOT.glob("msg/*.msg"),
                *ROOT.glob("srv/*.srv"),
                *(path for path in INTERFACES.rglob("*") if path.is_file()),
            ],
            [base_key, *installed_names()],
        )
        fresh_venv = not venv_is_sound()
        python_due = fresh_venv or not stamped("python", python_key)
        build_due = python_due or not stamped("build", build_key) or not built()
        if not build_due and "--build" not in sys.argv[1:]:
            say("nothing has changed, nothing to do")
            return
        check_place()
        check_tools(distribution)
        # What is cut off from here on is done again by the next run.
        unstamp("build")
        if python_due:
            unstamp("python")
            install_python_packages(distribution, fresh_venv)
            if distribution is None:
                install_ros_wheels()
            else:
                use_distribution(distribution)
            stamp("python", python_key)
        build(distribution, clean=fresh_venv or not stamped("base", base_key))
        stamp("base", base_key)
        stamp("build", build_key)
        say(f"ready after {time.monotonic() - started:.0f} s")


def say(message: str) -> None:
    """Print one line of progress."""
    print(f"setup: {message}", flush=True)


def fail(message: str) -> NoReturn:
    """Leave with one line that says what is wrong and what helps."""
    sys.exit(f"setup: {message}")


# ---- what has changed ------------------------------------------------------------------------


def digest(files: Iterable[Path], texts: Iterable[str]) -> str:
    """Hash of the contents of `files` and of `texts`."""
    state = hashlib.sha256()
    for path in sorted(files):
        state.update(f"{path.name}:{path.stat().st_size}:".encode() + path.read_bytes())
    state.update("\0".join(texts).encode())
    return state.hexdigest()


def installed_names() -> "list[str]":
    """Names of the files that the build links into the install space (contents are live)."""
    folders = ("msga_ros", "launch", "config", "scripts")
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return sorted(str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts)


def stamped(step: str, key: str) -> bool:
    """Whether `step` was last completed with this key."""
    path = STAMPS / step
    return path.is_file() and path.read_text() == key


def stamp(step: str, key: str) -> None:
    """Remember that `step` is complete."""
    (STAMPS / step).write_text(key)


def unstamp(step: str) -> None:
    """Forget that `step` is complete, while it is at work."""
    (STAMPS / step).unlink(missing_ok=True)


def venv_is_sound() -> bool:
    """Whether `.venv` has this Python version and still lies where it was made."""
    pip = VENV / "bin" / "pip"
    return (
        VENV_PYTHON.exists()
        and (VENV / "lib" / f"python{VERSION}").is_dir()
        and pip.is_file()
        and pip.read_text().startswith(f"#!{VENV}/bin/")
    )


def built() -> bool:
    """Whether the install space is there."""
    return (ROOT / "install" / "msga_ros" / "share" / "msga_ros" / "package.xml").exists()


# ---- what the machine has --------------------------------------------------------------------


def sourced_distribution() -> "Path | None":
    """Prefix of the ROS 2 distribution that is sourced in this shell, if any."""
    if not os.environ.get("ROS_DISTRO"):
        return None
    for prefix in map(Path, os.environ.get("AMENT_PREFIX_PATH", "").split(":")):
        is_ours = ROOT in (prefix, *prefix.parents)
        marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / "rclpy"
        if not is_ours and marker.exists():
            return prefix
    return None


def check_place() -> None:
    """Refuse a folder that the shell scripts of colcon and pip do not quote, in one line."""
    odd = sorted({one for one in str(ROOT) if one.isspace() or one in _UNQUOTED})
    if odd:
        named = ", ".join("a blank" if one == " " else repr(one) for one in odd)
        fail(f"the path {str(ROOT)!r} holds {named}, which colcon's scripts cannot take; move it")


def check_tools(distribution: "Path | None") -> None:
    """Name what is missing, before anything is downloaded."""
    for tool in ("gcc", "g++", "make"):
        if shutil.which(tool) is None:
            fail(f"{tool} was not found; on Debian or Ubuntu: sudo apt install build-essential")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        fail(
            f"the headers of Python {VERSION} are missing; "
            f"on Debian or Ubuntu: sudo apt install python{VERSION}-dev"
        )
    if not VENV_PYTHON.exists():
        try:
            import ensurepip  # noqa: F401
        except ImportError:
            fail(
                f"Python {VERSION} cannot make virtual environments; "
                f"on Debian or Ubuntu: sudo apt install python{VERSION}-venv"
            )
    if distribution is None and (sys.platform, platform.machine()) != ("linux", "x86_64"):
        fail(
            f"the ROS wheels are for Linux on x86-64, not for {sys.platform} on "
            f"{platform.machine()}; source a ROS 2 distribution first"
        )
    if distribution is not None and shutil.which("colcon") is None:
        fail("colcon was not found; sudo apt install python3-colcon-common-extensions")


# ---- steps -----------------------------------------------------------------------------------


def run(command: "list[str]", what: str, env: "dict[str, str] | None" = None) -> None:
    """Run a command in the root folder; leave with its exit status if it fails."""
    status = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode
    if status != 0:
        fail(f"{what} failed (exit status {status}); its own message stands above")


def pip_install(arguments: "list[str]", what: str) -> None:
    """Install into `.venv`; pip shows its progress on a terminal, and elsewhere errors alone."""
    quiet = [] if sys.stdout.isatty() else ["-qq"]
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    # Compiled at first import instead: most files of these packages never are.
    run([*pip, "--no-compile", *quiet, *arguments], what)


def install_python_packages(distribution: "Path | None", fresh: bool) -> None:
    """Step 1: `.venv`, the pinned packages and this package."""
    if fresh:
        say(f"[1/3] new virtual environment .venv with Python {platform.python_version()}")
        run([sys.executable, "-m", "venv", "--clear", str(VENV)], "making .venv")
    say("[1/3] Python packages, pinned (the first time some minutes: PyTorch is large)")
    requirements = ROOT / "requirements.txt"
    if distribution is not None:
        requirements = STAMPS / "requirements.txt"
        requirements.write_text(requirements_beside_distribution())
    held = ["-c", "constraints.txt"]
    # PyTorch by itself first: whatever follows has to fit it, not the other way round.
    torch = next(line for line in read_lines("requirements.txt") if line.startswith("torch=="))
    pip_install([torch, *held], "installing PyTorch")
    pip_install(["-r", str(requirements), "-r", "requirements-dev.txt", *held], "installing")
    pip_install(["--no-deps", "--no-build-isolation", "--editable", "."], "installing msga_ros")


def read_lines(name: str) -> "list[str]":
    """Lines of a file in the root folder."""
    return (ROOT / name).read_text().splitlines()


def requirements_beside_distribution() -> str:
    """The requirements, with those of requirements-distribution.txt in place of their namesakes."""
    instead = [line for line in read_lines("requirements-distribution.txt") if "==" in line]
    replaced = {line.split("==")[0] for line in instead}
    kept = [line for line in read_lines("requirements.txt") if line.split("==")[0] not in replaced]
    return "\n".join([*kept, *instead]) + "\n"


def install_ros_wheels() -> None:
    """Step 2: rclpy, messages and build tools from wheels, made usable by CMake and the shell."""
    say("[2/3] ROS 2 Jazzy wheels into .venv (no ROS 2 distribution is sourced)")
    pip_install(["-r", "requirements-ros.txt", "-c", "constraints.txt"], "installing ROS")
    repaired = repair_cmake_files(VENV)
    say(f"[2/3] {repaired} CMake files of the wheels now name this Python")
    # colcon sources these from install/setup.*: one `source` is enough for users.
    for shell in ("sh", "bash", "zsh"):
        (VENV / f"local_setup.{shell}").write_text(local_setup(VENV))


def use_distribution(prefix: Path) -> None:
    """Step 2 where a ROS 2 distribution is sourced: only see that it fits this Python."""
    say(f"[2/3] ROS 2 {os.environ['ROS_DISTRO']} of {prefix} is sourced: no wheels needed")
    test = [str(VENV_PYTHON), "-c", "import rclpy"]
    tried = subprocess.run(test, cwd="/", capture_output=True, text=True)
    if tried.returncode != 0:
        reason = next((line for line in tried.stderr.splitlines() if "Error: " in line), "")
        fail(
            f"rclpy of {prefix} does not load in Python {VERSION} ({reason}); "
            "give the Python of the distribution: make setup PYTHON=/usr/bin/python3"
        )


def build(distribution: "Path | None", clean: bool) -> None:
    """Step 3: messages and package with colcon."""
    say("[3/3] messages and package with colcon")
    if clean:
        for folder in ("build", "install"):
            shutil.rmtree(ROOT / folder, ignore_errors=True)
    for link in (ROOT / "install").rglob("*"):
        if link.is_symlink() and not link.exists():
            link.unlink()  # the source file was deleted or renamed
    env, colcon, sources = dict(os.environ), "colcon", ["."]
    cmake = ["-DBUILD_TESTING=OFF", "-Wno-unused-cli"]
    if distribution is None:
        for name in ("PYTHONPATH", "COLCON_PREFIX_PATH", "PYTHONHOME"):
            env.pop(name, None)
        env.update(
            VIRTUAL_ENV=str(VENV),
            PATH=f"{VENV / 'bin'}:{env['PATH']}",
            AMENT_PREFIX_PATH=str(VENV),
            CMAKE_PREFIX_PATH=str(VENV),
        )
        colcon = str(VENV / "bin" / "colcon")
        sources += sorted(str(path.parent) for path in INTERFACES.glob("*/package.xml"))
        cmake.append(f"-DPython3_EXECUTABLE={VENV_PYTHON}")
    command = [colcon, "build", "--base-paths", *sources, "--symlink-install"]
    command += ["--cmake-args", *cmake]
    run(command, "colcon build", env)


if __name__ == "__main__":
    main()
