"""What the wheels of ROS 2 need in a virtual environment before CMake and shells can use them.

Standard library only: `setup_environment.py` calls it before anything is installed.
"""

import re
import subprocess
import sysconfig
from pathlib import Path


def repair_cmake_files(venv: Path) -> int:
    """Put this interpreter's include folders where the wheels name those of their build machine."""
    numpy = "import numpy; print(numpy.get_include())"
    numpy_include = subprocess.check_output(
        [str(venv / "bin" / "python"), "-c", numpy], text=True
    ).strip()
    repairs = (
        (r"/opt/python/[^/;\"\s]+/include/python3\.\d+", sysconfig.get_path("include")),
        (r"/opt/python/[^;\"\s]+/site-packages/numpy/_?core/include", numpy_include),
    )
    repaired = 0
    for path in (venv / "share").rglob("*.cmake"):
        before = after = path.read_text()
        for pattern, replacement in repairs:
            after = re.sub(pattern, replacement.replace("\\", r"\\"), after)
        if after != before:
            path.write_text(after)
            repaired += 1
    return repaired


def local_setup(venv: Path) -> str:
    """Shell lines that put the wheels on the search paths, once."""
    return "".join(
        f'case ":${{{name}:-}}:" in *:"{value}":*) ;; '
        f'*) export {name}="{value}${{{name}:+:${name}}}" ;; esac\n'
        for name, value in (("PATH", venv / "bin"), ("AMENT_PREFIX_PATH", venv))
    )
