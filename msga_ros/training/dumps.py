"""Moved to `msga_ros.datasets.dumps`."""

from msga_ros.moved import moved

__getattr__ = moved(__name__, "msga_ros.datasets.dumps")
