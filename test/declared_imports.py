"""What the package imports from elsewhere: distribution on PyPI, key of rosdep, and for what."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[1] / "msga_ros"
LAUNCH = PACKAGE.parent / "launch"


class Where(Enum):
    """What has to be installed for an import to work: the value is the name of an extra."""

    NEEDED = ""  # by the library itself
    BAGS = "bags"
    LEARNED = "learned"
    ONNX = "onnx"
    RAY = "ray"
    SLAM = "slam"
    VIEW = "view"
    ROS = "ROS"  # a ROS 2 distribution
    CUDA = "CUDA"  # PyTorch for CUDA, of which it is a part


class Import(NamedTuple):
    """A module that is imported, by its first name."""

    distribution: str  # on PyPI; of the ROS packages the name itself
    rosdep: str | None  # key in package.xml; None: there is none, pip installs it
    where: Where = Where.NEEDED


IMPORTS: dict[str, Import] = {
    "cv2": Import("opencv-python-headless", "python3-opencv"),
    "h5py": Import("h5py", "python3-h5py"),
    "jinja2": Import("Jinja2", "python3-jinja2"),
    "lightning_fabric": Import("lightning-fabric", None),
    "matplotlib": Import("matplotlib", "python3-matplotlib"),
    "numpy": Import("numpy", "python3-numpy"),
    "poselib": Import("poselib", None),
    "rich": Import("rich", "python3-rich"),
    "safetensors": Import("safetensors", None),
    "scipy": Import("scipy", "python3-scipy"),
    "torch": Import("torch", "python3-torch"),
    "typer": Import("typer", "python3-typer"),
    "yaml": Import("PyYAML", "python3-yaml"),
    "backports": Import("backports.zstd", None, Where.BAGS),
    "lz4": Import("lz4", None, Where.BAGS),
    "rosbags": Import("rosbags", None, Where.BAGS),
    "kornia": Import("kornia", None, Where.LEARNED),
    "onnx": Import("onnx", None, Where.ONNX),
    "onnxruntime": Import("onnxruntime", None, Where.ONNX),
    "onnxscript": Import("onnxscript", None, Where.ONNX),
    "gtsam": Import("gtsam", None, Where.SLAM),
    "ray": Import("ray", None, Where.RAY),
    "rerun": Import("rerun-sdk", None, Where.VIEW),
    "triton": Import("triton", None, Where.CUDA),
} | {
    name: Import(name, name, Where.ROS)
    for name in (
        "ament_index_python", "builtin_interfaces", "cv_bridge", "diagnostic_msgs",
        "geometry_msgs", "launch",
        "launch_ros", "lifecycle_msgs", "message_filters", "nav_msgs", "rcl_interfaces", "rclpy",
        "sensor_msgs", "std_msgs", "std_srvs", "tf2_msgs", "visualization_msgs",
    )
}  # fmt: skip
# Part of Python from 3.14 on; for earlier ones `backports`.
STANDARD = {*sys.stdlib_module_names, "compression"}


def imported() -> Iterator[tuple[str, Path]]:
    """First names of all modules that the package imports, wherever in a file, and the file."""
    for path in [*PACKAGE.rglob("*.py"), *LAUNCH.glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [node.module]
            else:
                continue
            for name in names:
                first = name.partition(".")[0]
                if first not in STANDARD and first != "msga_ros":
                    yield first, path
