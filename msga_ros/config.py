"""Moved to `msga_ros.two_view.config`."""

from msga_ros.moved import moved

__getattr__ = moved(
    __name__,
    "msga_ros.configuration.yaml_dataclass",
    "msga_ros.frontend.config",
    "msga_ros.two_view.config",
)
