"""Which frames the odometry is published in, from the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from msga_ros.geometry.rotations import rotation_from_quaternion
from msga_ros.odometry.mount import Mount

# Frames of REP 105 where the robot's own frame is known; else ours, which no other node publishes.
ODOMETRY_FRAME = "msga_odom"
ROBOT_ODOMETRY_FRAME = "odom"


@dataclass(frozen=True)
class RobotSettings:
    """`frame`: of the odometry. `base_frame`: of the robot, "" for the left optical frame.

    `mount`: the camera's place in `base_frame`; None where `/tf_static` has to tell it.
    """

    frame: str
    base_frame: str
    mount: Mount | None

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> RobotSettings:
        """From the group `odometry`. Raises `ValueError` for what contradicts itself."""
        base = values["odometry.base_frame"].lstrip("/")
        frame = values["odometry.frame"].lstrip("/")
        frame = frame or (ROBOT_ODOMETRY_FRAME if base else ODOMETRY_FRAME)
        text = values["odometry.camera_in_base"].strip()
        if frame == base:
            raise ValueError(f"odometry.frame and odometry.base_frame are both {base!r}")
        if text and not base:
            raise ValueError("odometry.camera_in_base is given without odometry.base_frame")
        return cls(frame, base, mount_from_text(base, text) if text else None)


def mount_from_text(base: str, text: str) -> Mount:
    """The place in `text`: x y z roll pitch yaw, or x y z qx qy qz qw. Raises `ValueError`."""
    try:
        numbers = np.array([float(one) for one in text.replace(",", " ").split()[:8]])
    except ValueError:
        numbers = np.empty(0)
    if len(numbers) not in (6, 7) or not np.isfinite(numbers).all():
        raise ValueError(
            "odometry.camera_in_base takes six numbers (x y z roll pitch yaw) or seven "
            f"(x y z qx qy qz qw), not {text[:80]!r}"
        )
    if len(numbers) == 6:
        return Mount(base, Rotation.from_euler("xyz", numbers[3:]).as_matrix(), numbers[:3])
    if abs(np.linalg.norm(numbers[3:]) - 1.0) > 0.01:
        raise ValueError("odometry.camera_in_base: the quaternion does not have the length 1")
    return Mount(base, rotation_from_quaternion(numbers[3:]), numbers[:3])
