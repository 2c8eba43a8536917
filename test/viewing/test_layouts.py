"""The Foxglove layout shows the node's topics, with fields that the messages have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = json.loads((ROOT / "config" / "foxglove.json").read_text())
PANELS: dict[str, dict[str, Any]] = LAYOUT["configById"]
# What the node's interface promises below its name.
MESSAGES = {"correspondences": "Correspondences", "relative_pose": "RelativePose"}
OTHERS = {"matches_image", "markers", "path", "odometry"}


def panels(kind: str) -> list[dict[str, Any]]:
    return [config for name, config in PANELS.items() if name.startswith(f"{kind}!")]


def leaves(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    else:
        assert node["direction"] in ("row", "column")
        assert 0 < node["splitPercentage"] < 100
        yield from leaves(node["first"])
        yield from leaves(node["second"])


def test_every_panel_is_placed_once() -> None:
    assert sorted(leaves(LAYOUT["layout"])) == sorted(PANELS)


def test_pictures_markers_path_and_diagnostics() -> None:
    (image,) = panels("Image")
    assert image["imageMode"]["imageTopic"] == "/msga/matches_image"
    (scene,) = panels("3D")
    visible = {topic for topic, one in scene["topics"].items() if one["visible"]}
    assert visible >= {"/msga/markers", "/msga/path"}
    assert {topic.removeprefix("/msga/") for topic in visible} <= OTHERS
    (diagnostics,) = panels("DiagnosticSummary")
    assert diagnostics["topicToRender"] == "/diagnostics"


def test_plotted_fields_exist() -> None:
    paths = [path["value"] for kind in ("Plot", "StateTransitions") for panel in panels(kind)
             for path in panel["paths"]]  # fmt: skip
    assert paths
    for path in paths:
        topic, _, field = path.partition(".")
        text = (ROOT / "msg" / f"{MESSAGES[topic.removeprefix('/msga/')]}.msg").read_text()
        fields = [line.partition("#")[0].split() for line in text.splitlines()]
        assert field in [words[1] for words in fields if len(words) == 2]


def test_rviz_and_foxglove_show_the_same() -> None:
    view = yaml.safe_load((ROOT / "config" / "msga.rviz").read_text())["Visualization Manager"]
    shown = {one["Topic"]["Value"] for one in view["Displays"] if "Topic" in one}
    (scene,) = panels("3D")
    (image,) = panels("Image")
    assert shown <= {*scene["topics"], image["imageMode"]["imageTopic"]}
