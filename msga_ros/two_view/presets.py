"""Named configurations of the pipeline, each a YAML file of the package with what it is for."""

from __future__ import annotations

from pathlib import Path

from msga_ros.configuration.yaml_dataclass import ConfigError

_FOLDER = Path(__file__).resolve().parents[1] / "presets"

PRESETS: tuple[str, ...] = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def configuration_file(path: str | Path) -> Path:
    """The file that `path` means: the path itself, or that of the preset of this name."""
    return (
        preset_path(str(path)) if str(path) in PRESETS and not Path(path).exists() else Path(path)
    )


def preset_path(name: str) -> Path:
    """The file of the preset: `PipelineConfig.load` reads it, and so does a node as parameters.

    Raises `ConfigError`, which names the presets that there are.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; there are: {', '.join(PRESETS)}")
    return _FOLDER / f"{name}.yaml"
