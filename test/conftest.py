"""Weights and images for tests of whole programs."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import pytest
from domains import worker_domains
from shared_data import shared_path
from untrained_weights import untrained

from msga_ros.network import CheckpointError, packaged_weights


def pytest_configure() -> None:
    """A DDS domain of its own for each process that runs tests, beside those of single nodes."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        given = int(os.environ.get("ROS_DOMAIN_ID", "0"))
        first, number = worker_domains(1, 19)
        os.environ["ROS_DOMAIN_ID"] = str(first + given % number)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m gpu` nothing is imported but files that have such tests (`devices.py`), and folders
    with those: a machine with a GPU may lack what the others need."""
    if config.option.markexpr != "gpu":
        return None
    files = collection_path.rglob("test_*.py") if collection_path.is_dir() else [collection_path]
    return not any("from devices import" in file.read_text(encoding="utf-8") for file in files)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The package asks for OpenCV 4; a machine with a GPU may have 5, which has no AKAZE."""
    missing = pytest.mark.skip(reason=f"OpenCV {cv2.__version__} has no AKAZE")
    for item in () if hasattr(cv2, "AKAZE_create") else items:
        if isinstance(item, pytest.Function) and "[" in item.name and "akaze" in item.callspec.id:
            item.add_marker(missing)


@pytest.fixture(scope="session")
def any_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that loads; trained if the package has one."""
    try:
        return packaged_weights()
    except CheckpointError:
        return untrained(tmp_path_factory.mktemp("weights") / "untrained.safetensors")


@pytest.fixture(scope="session")
def trained_weights() -> Path:
    """The weights in the package."""
    try:
        return packaged_weights()
    except CheckpointError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kitti() -> Path:
    """The folder of a rectified stereo sequence with true poses; not one that weights are from."""
    return shared_path("data/scenes/kitti_stereo_seq2")
