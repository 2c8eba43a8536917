"""Moved to `msga_ros.network.inference`."""

from msga_ros.moved import moved

__getattr__ = moved(__name__, "msga_ros.network.inference")
