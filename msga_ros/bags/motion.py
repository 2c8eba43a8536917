"""The motion between two views, and poses with stamps, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msga_ros.stream.message_fields import relative_pose_fields
from msga_ros.stream.message_set import stamp_ns
from msga_ros.stream.processor import Outcome

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """Pose of the current view in the reference view; stamps in ns, `rotation` is x, y, z, w."""

    reference_ns: int
    current_ns: int
    epoch: int
    status: int
    scale_known: bool
    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]

    @classmethod
    def of(cls, outcome: Outcome, epoch: int) -> Motion:
        """The motion in an outcome, as `RelativePose` has it."""
        fields = relative_pose_fields(outcome)
        x, y, z = (float(one) for one in fields["translation"])
        return cls(
            reference_ns=stamp_ns(outcome.reference),
            current_ns=stamp_ns(outcome.current),
            epoch=epoch,
            status=fields["status"],
            scale_known=fields["translation_scale_known"],
            translation=(x, y, z),
            rotation=fields["rotation"],
        )


@dataclass(frozen=True)
class StampedPose:
    """Pose of camera or robot in the frame of its first one: `x_first = R x + p`."""

    stamp_ns: int
    rotation: Array  # (3, 3)
    position: Array  # (3,)

    def as_json(self, session: int) -> dict[str, object]:
        """Values that JSON keeps; `session`: of the odometry, whose first frame is the origin."""
        return {
            "stamp_ns": self.stamp_ns,
            "rotation": self.rotation.tolist(),
            "position": self.position.tolist(),
            "session": session,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StampedPose:
        """The inverse of `as_json`."""
        return cls(values["stamp_ns"], np.array(values["rotation"]), np.array(values["position"]))
