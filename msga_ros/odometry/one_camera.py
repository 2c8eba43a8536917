"""The adjustment of two frames that one camera took, with the limits of the configuration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msga_ros.odometry.config import OdometryConfig
from msga_ros.odometry.observations import Observations, TwoFrameSolution
from msga_ros.odometry.two_frame import solve_two_frames


def solve_one_camera(
    observations: Observations,
    rotation: NDArray[np.float64],
    position: NDArray[np.float64],
    focal: float,
    config: OdometryConfig,
    *,
    scale_known: bool,
) -> TwoFrameSolution | None:
    """`solve_two_frames` from the first guess `rotation` `(3, 3)`, `position` `(3,)`, and the
    depths of `observations`; `focal` in pixels.

    None where no motion is determined, or fewer than `config.min_inliers` agree with it.
    """
    solution = solve_two_frames(
        observations,
        rotation,
        position,
        observations.inverse_depth,
        rig=None,
        focal=focal,
        sigma=config.noise_px or None,
        minimum_sigma=config.min_noise_px,
        gate_sigma=config.gate_px,
        scale_known=scale_known,
    )
    if solution is None or solution.inlier.sum() < config.min_inliers:
        return None
    return solution
