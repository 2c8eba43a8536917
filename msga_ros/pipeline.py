"""Moved to `msga_ros.two_view.pipeline`."""

from msga_ros.moved import moved

__getattr__ = moved(__name__, "msga_ros.two_view.pipeline")
