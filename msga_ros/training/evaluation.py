"""Moved to `msga_ros.evaluation.dump_evaluation`."""

from msga_ros.moved import moved

__getattr__ = moved(__name__, "msga_ros.evaluation.dump_evaluation")
