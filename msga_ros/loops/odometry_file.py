"""Odometry from a file: poses at some stamps, and between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from msga_ros.geometry.camera_pose import Pose

_LONGEST_GAP = 1.0  # s between two poses that are joined by a straight line


class OdometryFileError(ValueError):
    """A file that holds no trajectory; the message says which, where and why."""


class RecordedOdometry:
    """Poses of a camera over time, odom to camera, by interpolation."""

    def __init__(
        self,
        stamps: NDArray[np.float64],
        positions: NDArray[np.float64],
        rotations: Rotation,
        camera_in_body: Pose | None = None,
    ) -> None:
        """`stamps` (N,) s, in increasing order; `positions` (N, 3) and `rotations` of a body in
        odom; `camera_in_body`: `x_body = R x_camera + t` (None: the body is the camera)."""
        self._stamps = stamps
        self._positions = positions
        self._rotations = rotations
        self._turns = Slerp(stamps, rotations) if len(stamps) > 1 else None
        self._camera = camera_in_body or Pose.identity()

    @classmethod
    def read_tum(cls, path: Path, camera_in_body: Pose | None = None) -> RecordedOdometry:
        """Lines `stamp x y z qx qy qz qw`, `#` before a comment, as `msga vo` and evo write them.

        Raises `OdometryFileError` or `OSError`.
        """
        rows: list[list[float]] = []
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            words = line.split("#", 1)[0].replace(",", " ").split()
            if not words:
                continue
            try:
                values = [float(word) for word in words]
            except ValueError:
                values = []
            if len(values) != 8 or not np.isfinite(values).all() or not any(values[4:]):
                raise OdometryFileError(f"{path}, line {number}: not `stamp x y z qx qy qz qw`")
            rows.append(values)
        if not rows:
            raise OdometryFileError(f"{path}: no poses")
        table = np.array(sorted(rows))
        table = table[np.concatenate([[True], np.diff(table[:, 0]) > 0])]
        rotations = Rotation.from_quat(table[:, 4:])
        return cls(table[:, 0], table[:, 1:4], rotations, camera_in_body)

    def at(self, stamp: float) -> Pose | None:
        """Odom to camera at `stamp` (s); None outside of the poses, and in a long gap."""
        after = int(np.searchsorted(self._stamps, stamp))
        if after < len(self._stamps) and self._stamps[after] == stamp:
            body = Pose(self._rotations[after].as_matrix(), self._positions[after])
        elif after in (0, len(self._stamps)) or self._turns is None:
            return None
        else:
            begin, end = self._stamps[after - 1 : after + 1]
            if end - begin > _LONGEST_GAP:
                return None
            share = (stamp - begin) / (end - begin)
            position = (1 - share) * self._positions[after - 1] + share * self._positions[after]
            body = Pose(self._turns(stamp).as_matrix(), position)
        return body.after(self._camera).inverse()
