"""Which task a training's file is for: its entry `task`, without which it is outlier removal."""

from __future__ import annotations

from pathlib import Path

from msga_ros.configuration.registry import Registry
from msga_ros.configuration.yaml_dataclass import ConfigError, read_yaml
from msga_ros.training.config import RunConfig

DEFAULT = "outlier_removal"

TASKS = Registry(
    "task",
    "msga_ros.training_tasks",
    {
        DEFAULT: "msga_ros.training.config:TrainConfig",
        "dense": "msga_ros.training.dense.config:DenseTrainConfig",
    },
    ConfigError,
)


def load_run(path: str | Path) -> RunConfig:
    """The run that a YAML file describes. Raises `ConfigError`, which names file and entry."""
    entries = read_yaml(Path(path))
    name = entries.pop("task", DEFAULT)
    try:
        kind: type[RunConfig] = TASKS.load(str(name))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return kind.from_entries(entries, str(path))
