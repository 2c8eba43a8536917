"""The documentation is true: links and named files exist, its commands have the options shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from test_architecture import EVERYTHING, MAY_IMPORT

from msga_ros.cli import COMMANDS, load

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
PACKAGE_PATH = re.compile(
    r"`((?:msga_ros|test|config|configs|docs|scripts|security|benchmarks|launch|msg)/[\w./-]+)`"
)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def headings(page: Path) -> set[str]:
    """Anchors as GitHub makes them: lower case, hyphens for blanks, no punctuation."""
    lines = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def commands(page: Path) -> Iterator[list[str]]:
    """Words of each line in a block of code that calls `msga`, without comments."""
    for block in re.findall(r"^```(?:bash)?\n(.*?)^```", page.read_text(), re.MULTILINE | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            call = re.match(r"\s*(?:for .*; do )?(msga\s.*)", line)
            if call:
                text = call[1].replace("[", " ").replace("]", " ")
                yield shlex.split(re.split(r"&&|;|\|\s", text)[0], comments=True)


@cache
def options(*path: str) -> frozenset[str]:
    """All options of a command of `msga`, or of one in its group."""
    command: Any = load(path[0])
    for name in path[1:]:
        command = command.commands[name]
    return frozenset(
        name for one in command.params for name in (*one.opts, *one.secondary_opts)
    ) | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        known = file.exists() and (not anchor or anchor in headings(file))
        lost += [] if known else [target]
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_named_files_exist(page: Path) -> None:
    """Paths from the root in code style; NAME stands for what the reader chooses."""
    found = PACKAGE_PATH.findall(page.read_text())
    messages = {f"msga_ros/{path.stem}" for path in (ROOT / "msg").glob("*.msg")}  # their types
    named = {path for path in found if "NAME" not in path} - messages
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_contributing_names_what_is_there() -> None:
    """Files that serve as a model stand beside the new one; registries are where it says."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| an? [\w` ]+ \| .*\|$", text, re.MULTILINE)
    assert len(rows) >= 14
    for row in rows:
        for folder, model in re.findall(
            r"`(msga_ros/[\w/]+?)/?(?:NAME\.py)?` \(as `(\w+\.py)`", row
        ):
            assert (ROOT / folder / model).exists(), row
        for name, file in re.findall(r"`([A-Z]+)` in `([\w./]+)`", row):
            assert re.search(rf"^{name}\b.*=", (ROOT / file).read_text(), re.MULTILINE), row


def test_the_map_names_every_folder_of_the_package() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text[text.index("| folder of `msga_ros/` |") : text.index("ROS is imported in")]
    first_cells = " ".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE))
    mapped = set(re.findall(r"`(\w+)`", first_cells)) - {"msga_ros"}
    folders = {path.parent.name for path in (ROOT / "msga_ros").glob("*/__init__.py")}
    old = {"config", "drawing", "inference", "pipeline"}  # folders of old names, if any
    assert mapped == folders - old


def test_the_architecture_names_files_and_folders_that_there_are() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    files = re.findall(r"`([a-z_]+(?:/[a-z_]+)*/[a-z_]*(?:\.py)?)`", text)
    assert len(files) > 40
    package = ROOT / "msga_ros"
    assert {
        name for name in files if not ((package / name).exists() or (ROOT / name).exists())
    } == {"left/image"}
    in_the_table = text[text.index("| folder of") : text.index("## One image")]
    order = re.findall(r"`([a-z_]+)`", " ".join(re.findall(r"^\|([^|]+)\|", in_the_table, re.M)))
    assert [one for one in order if one in MAY_IMPORT] == order[:-1] and order[-1] == "cli"
    assert set(order) == {*MAY_IMPORT, *EVERYTHING}
    for folder, allowed in MAY_IMPORT.items():
        assert allowed <= set(order[: order.index(folder)]), folder
    in_node = re.findall(r"^\| `(\w+\.py)` \|", text, re.MULTILINE)
    assert in_node and all((package / "node" / name).exists() for name in in_node)


def test_the_architecture_names_every_file_that_an_image_passes() -> None:
    """In `node` and `stream`: a file that it does not name has no place in the walk."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    for folder in ("node", "stream"):
        files = {path.name for path in (ROOT / "msga_ros" / folder).glob("[a-z]*.py")}
        short = set(re.findall(r"^\| `(\w+\.py)` \|", text, re.MULTILINE))
        named = set(re.findall(rf"`{folder}/(\w+\.py)`", text)) | (
            short if folder == "node" else set()
        )
        assert files - named == set(), folder


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {
        (index.parent / target).resolve()
        for target in re.findall(r"\]\(([^)#\s]+)", index.read_text())
    }
    pages = set((ROOT / "docs").rglob("*.md")) - {index}
    assert {relative(page) for page in pages - linked} == set()


def test_the_table_of_commands_is_complete() -> None:
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"`msga (\w+)", text)) | set(re.findall(r"^msga (\w+)", text, re.M))
    assert set(COMMANDS) - named - {"compact"} == set()
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_commands_have_the_options_that_are_shown(page: Path) -> None:
    for _, *words in commands(page):
        if words[0].startswith("--"):
            assert words[0] in ("--help", "--version")
            continue
        path = [words[0]]
        assert words[0] in COMMANDS, words
        command: Any = load(words[0])
        if hasattr(command, "commands"):
            path.append(words[1])
            assert words[1] in command.commands, words
        given = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= options(*path), f"{relative(page)}: msga {' '.join(words)}"


def test_some_commands_are_checked() -> None:
    """The pages do show commands, and an option that is not there would be seen."""
    assert sum(len(list(commands(page))) for page in PAGES) > 40
    assert "--report" in options("eval") and "--reports" not in options("eval")
    assert "--rate" in options("bench", "node")
