"""What the diagnostics say of the motion: odometry, rig, depth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from msga_ros.odometry.rig import RigCheck
from msga_ros.odometry.updates import OdometryStatus
from msga_ros.stream.stream_odometry import OdometryResult


@dataclass(frozen=True)
class DepthReport:
    """Of the last depth image: how many of the `keypoints` have a depth, `median_m` of these (NaN
    without any)."""

    keypoints: int
    with_depth: int
    median_m: float


@dataclass(frozen=True)
class MotionReport:
    """For the diagnostics. `wanted`: the odometry has a subscriber. `running`: it takes frames;
    `problem`: why it cannot.

    `session`, `reason`: see `StreamOdometry`. `status`: of the last frame. `lost`, `frames`:
    counted in this session. `sigma_m`, `sigma_deg`: of the pose, root of the trace of its
    covariance's blocks. `rig`: the last check, None without one; `focal` (pixels) belongs to it.
    `rig_problem`: what is implausible about the rig's calibration, or contradicts the images.
    `depth`: mode rgbd.
    """

    wanted: bool = False
    running: bool = False
    problem: str = ""
    session: int = 0
    reason: str = ""
    status: str = ""
    frames: int = 0
    lost: int = 0
    inliers: int = 0
    sigma_m: float = 0.0
    sigma_deg: float = 0.0
    rig: RigCheck | None = None
    focal: float = 0.0
    rig_problem: str = ""
    depth: DepthReport | None = None

    def after(self, result: OdometryResult, reason: str) -> MotionReport:
        """The report after one more frame; `reason`: why the session began."""
        update, same = result.update, self.session == result.session
        lost = int(update.status is OdometryStatus.LOST)
        spread = np.zeros((6, 6)) if update.pose is None else update.pose.covariance
        return replace(
            self,
            wanted=True,
            running=True,
            problem="",
            session=result.session,
            reason=reason,
            status=update.status.name,
            frames=1 + (self.frames if same else 0),
            lost=lost + (self.lost if same else 0),
            inliers=int(update.inlier.sum()),
            sigma_m=float(np.sqrt(np.trace(spread[:3, :3]))),
            sigma_deg=float(np.degrees(np.sqrt(np.trace(spread[3:, 3:])))),
            rig=update.rig or (self.rig if same else None),
        )
