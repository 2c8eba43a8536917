"""Programs around the node, each test process on a DDS domain of its own."""

from __future__ import annotations

import os

import pytest

from msga_ros.tools import child_environment


@pytest.fixture(autouse=True)
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """That of this process: one made of its number may be that of a node in another test."""
    number = int(os.environ.get("ROS_DOMAIN_ID", "0"))
    monkeypatch.setattr(child_environment, "own_domain", lambda: number)
    return number
