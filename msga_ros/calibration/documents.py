"""Foreign YAML files, bounded before anything is built from them; those of OpenCV too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from msga_ros.calibration.base import CalibrationError, Document, shortened

_LARGEST_BYTES = 1_000_000
_MOST_NODES = 10_000
_DEEPEST = 20


class _Loader(yaml.SafeLoader):
    """Plain values; a matrix of OpenCV is the mapping that it looks like."""


def _matrix(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(None, None, "a matrix without entries", None)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:opencv-matrix", _matrix)


def read_document(path: Path) -> Document:
    """The mapping that is the first document of a YAML file; `CalibrationError` names the file."""
    if not path.is_file():
        raise CalibrationError(f"{path}: there is no such file")
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
        if len(data) > _LARGEST_BYTES:
            raise CalibrationError(f"{path}: larger than {_LARGEST_BYTES} bytes: no calibration")
        text = _first_document(data.decode("utf-8-sig"))
        _check_bounds(path, text)
        document = yaml.load(text, _Loader)
    except UnicodeDecodeError as error:
        raise CalibrationError(f"{path}: no text ({error.reason})") from None
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, CalibrationError):
            raise
        raise CalibrationError(f"{path}: not readable as YAML ({shortened(error)})") from None
    if not isinstance(document, dict):
        raise CalibrationError(f"{path}: not a camera calibration (no mapping)")
    return {str(key): value for key, value in document.items()}


def _first_document(text: str) -> str:
    """Without OpenCV's `%YAML:1.0`, which is no YAML, and what follows a separator."""
    lines = text.splitlines()
    while lines and (not lines[0].strip() or lines[0].startswith(("%YAML", "---", "#"))):
        lines.pop(0)
    for number, line in enumerate(lines):
        if line.startswith(("---", "...")):
            return "\n".join(lines[:number])
    return "\n".join(lines)


def _check_bounds(path: Path, text: str) -> None:
    """Nothing is built here: the events are counted as they come."""
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, _Loader)):
        if isinstance(event, yaml.AliasEvent):
            raise CalibrationError(f"{path}: aliases (*{shortened(event.anchor)}) are not read")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST or nodes > _MOST_NODES:
            raise CalibrationError(f"{path}: too deep or too long for a calibration")
