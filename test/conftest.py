"""Weights and images for tests of whole programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from shared_data import shared_path
from untrained_weights import untrained

from msga_ros.network import CheckpointError, packaged_weights


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
