"""Names of implementations: which there are, whose they are, and what is said of the others."""

from __future__ import annotations

import pytest
from tiny_package import tiny, tiny_folder

from msga_ros.configuration.registry import Registry

__all__ = ["tiny", "tiny_folder"]  # fixtures


class NotThereError(ValueError):
    """Of the registry under test."""


def registry(**ours: str) -> Registry:
    return Registry("front end", "msga_ros.frontends", ours, NotThereError)


@pytest.mark.usefixtures("tiny")
def test_a_name_of_ours_is_never_taken_over() -> None:
    mine = registry(json="json", sift="json:dumps")
    assert mine.names() == ("json", "sift", "broken", "tiny")
    assert mine.load("sift").__name__ == "dumps"
    assert mine.load("tiny").__name__ == "tiny_matcher.frontend"
    assert "sift" in mine and "tiny" in mine and "dump" not in mine


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    mine = registry(ours="no_such_module")
    assert mine.names() == ("ours",) and "ours" in mine
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):  # our mistake, as it is
        mine.load("ours")


def test_what_nobody_has_is_an_error_that_names_what_there_is() -> None:
    with pytest.raises(NotThereError, match="unknown front end 'b'; there are a, json"):
        registry(a="json", json="json").load("b")


@pytest.mark.usefixtures("tiny")
def test_the_mistake_of_another_package_is_an_error_that_names_it() -> None:
    with pytest.raises(NotThereError, match=r"front end 'broken' \(tiny_matcher.missing\) fails"):
        registry().load("broken")
