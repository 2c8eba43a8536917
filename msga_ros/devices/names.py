"""Names of devices in a configuration."""

from __future__ import annotations

import re

from msga_ros.configuration.yaml_dataclass import ConfigError

AUTOMATIC = "auto"


def check_name(name: str, entry: str) -> None:
    """Raises `ConfigError` for a name that is not auto, cpu, cuda or cuda:N; `entry`: of the
    configuration, for the message."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ConfigError(f"{entry} must be auto, cpu, cuda or cuda:N, not {name!r}")
