"""The motion between two views as a journal keeps it, and the chain of such motions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msga_ros.node.contents import STATUS_DEGENERATE, STATUS_OK, relative_pose_fields
from msga_ros.node.processor import Outcome
from msga_ros.node.synchronizer import stamp_ns

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

    def as_json(self) -> dict[str, Any]:
        """Values that JSON keeps."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Motion:
        """The inverse of `as_json`."""
        pairs = {name: tuple(values[name]) for name in ("translation", "rotation")}
        return cls(**{**values, **pairs})


@dataclass(frozen=True)
class StampedPose:
    """Pose of a camera in the frame of the first one: `x_first = R x_camera + p`."""

    stamp_ns: int
    rotation: Array  # (3, 3)
    position: Array  # (3,)


def chain(motions: Iterable[Motion]) -> list[StampedPose]:
    """Poses of all views in the frame of the first, by composing the motions between them.

    A translation without scale is taken as it is, of length 1: the trajectory of one camera holds
    directions and turns, not lengths. Where a motion is unknown the camera is taken to stand still,
    where only its turn is known (degenerate) to turn on the spot. After a jump back in time the
    chain ends: what comes after has stamps that were there before.
    """
    poses: dict[int, StampedPose] = {}
    epoch: int | None = None
    for motion in motions:
        if epoch is None:
            epoch = motion.epoch
        if motion.epoch != epoch:
            break
        if not poses:
            poses[motion.reference_ns] = StampedPose(motion.reference_ns, np.eye(3), np.zeros(3))
        before = poses.get(motion.reference_ns) or list(poses.values())[-1]
        turn: Array = np.eye(3)
        step: Array = np.zeros(3)
        if motion.status in (STATUS_OK, STATUS_DEGENERATE):
            turn = rotation_matrix(motion.rotation)
        if motion.status == STATUS_OK:
            step = np.array(motion.translation)
        poses[motion.current_ns] = StampedPose(
            motion.current_ns,
            before.rotation @ turn,
            before.rotation @ step + before.position,
        )
    return list(poses.values())


def rotation_matrix(quaternion: tuple[float, float, float, float]) -> Array:
    """Rotation matrix (3, 3) of a unit quaternion x, y, z, w."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
