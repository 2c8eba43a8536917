"""Robust solvers of the relative pose, one file each behind `Solver` (`two_view/stages.py`).

A new one is a file with such a function and a line in `SOLVERS`; another package names its function
in the entry points `msga_ros.solvers`. One that does not use the scores of the matches says so:
`uses_scores = False` on the function.
"""

from __future__ import annotations

from msga_ros.configuration.registry import Registry

SOLVERS = Registry(
    "solver",
    "msga_ros.solvers",
    {
        "graduated": f"{__name__}.graduated:solve",
        "poselib": f"{__name__}.poselib:estimate",
        "magsac": f"{__name__}.magsac:estimate",
    },
)
