"""What a mapper of loops takes and says: views in, keyframes, edges and corrected poses out.

A `Pose` of a camera maps from a frame to the camera, `x_camera = R x_frame + t`, in metres; the
frame is `odom` (continuous, drifts) or `map` (corrected, jumps), both as in REP 105. The camera's
axes are x right, y down, z forward. Whoever has the pose of a robot's base puts the way from base
to camera between.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose
from msga_ros.odometry.poses import UncertainPose
from msga_ros.two_view.result import Status


@dataclass(frozen=True)
class RightView:
    """The other image of a stereo pair of the same instant; `pose`: `x_right = R x_left + t`."""

    image: NDArray[np.uint8]
    camera: Camera
    pose: Pose


@dataclass(frozen=True)
class View:
    """An image with what is known of it.

    `name` for people, `stamp` in seconds; `image` (H, W) gray or (H, W, 3) BGR. `odometry`: odom to
    camera; None where nobody knows. `depth` (H, W) float32: along the optical axis, registered to
    the image, metres, NaN for none. `right`: of a stereo pair. `session`: poses of another one have
    another origin: the odometry began anew.
    """

    name: str
    stamp: float
    image: NDArray[np.uint8]
    camera: Camera
    odometry: Pose | None = None
    depth: NDArray[np.float32] | None = None
    right: RightView | None = None
    session: int = 0


class ScaleSource(enum.Enum):
    """Where the length of an edge's translation is from."""

    DEPTH = "depth"  # a depth image or a stereo pair
    ODOMETRY = "odometry"  # points triangulated between keyframes, by the odometry's motion
    NONE = "none"  # unknown


@dataclass(frozen=True, eq=False)
class LoopEdge:
    """Keyframe `current` shows what keyframe `reference` showed; both are numbers of the map.

    `pose`: of the current camera in the reference camera, in metres, with the covariance (6, 6) of
    `RelativePose.msg`: x, y, z (m), rx, ry, rz (rad), all along the axes of the reference camera.
    With `scale` NONE the position is a direction of unit length, or zero where not even that is
    known (`status` DEGENERATE), and the variances of what is unknown are `UNKNOWN_VARIANCE`.

    `inliers` matches agree with it; `similarity` of the global descriptors, -1 to 1. `support`: how
    many other loops of the neighbourhood agree with it; 0: accepted by its own evidence.
    """

    reference: int
    current: int
    reference_stamp: float
    current_stamp: float
    pose: UncertainPose
    inliers: int
    scale: ScaleSource
    status: Status
    similarity: float
    support: int = 0

    @property
    def metric(self) -> bool:
        """Whether the length of the translation is known."""
        return self.scale is not ScaleSource.NONE


UNKNOWN_VARIANCE = 1e12  # m^2: of a length that nothing has measured


class Verdict(enum.Enum):
    """What became of a view."""

    KEYFRAME = "keyframe"  # kept
    STILL = "still"  # moved too little since the last keyframe
    UNUSABLE = "unusable"  # too few features to be found again


@dataclass(frozen=True)
class Outcome:
    """What `LoopMapper.add` did.

    `keyframe`: the view's number in the map, None where it was not kept. `accepted`: loops that are
    certain now; one may concern an earlier keyframe, whose support has only now come. `taken_back`:
    loops accepted earlier that contradict the rest. `notes`: what a user should know (odometry that
    jumped, a clock that went back), a sentence each. `corrected`: the poses of the map have moved.
    """

    verdict: Verdict
    keyframe: int | None
    accepted: tuple[LoopEdge, ...] = ()
    taken_back: tuple[LoopEdge, ...] = ()
    notes: tuple[str, ...] = ()
    corrected: bool = False


@dataclass(frozen=True)
class Location:
    """Where an image was taken; `found` False: the map does not know the place, `reason` says why.

    `keyframe` and `edge`: the keyframe that shows the same (reference), and the image's pose in it
    (`edge.current` is -1). `pose`: map to camera; None where the length is unknown or the keyframe
    has no pose in the map; `edge.support`: how many other keyframes that were looked at agree.
    """

    found: bool
    reason: str
    edge: LoopEdge | None = None
    pose: Pose | None = None

    @property
    def keyframe(self) -> int | None:
        """The keyframe that shows the same."""
        return None if self.edge is None else self.edge.reference


@dataclass(frozen=True)
class MapPose:
    """Keyframe `number`, its `stamp` (s) and its `pose`, map to camera; None: not connected to the
    first keyframe of the map by odometry or loops."""

    number: int
    stamp: float
    pose: Pose | None


class Mapper(Protocol):
    """What a node uses of `msga_ros.loops.mapping.LoopMapper`. One thread at a time."""

    def due(self, stamp: float, odometry: Pose | None) -> bool:
        """Whether a view of `stamp` (s) would become a keyframe. Cheap: may be asked for each
        pose of the odometry, in order of time; the more it sees, the better jumps are noticed."""

    def add(self, view: View) -> Outcome:
        """Keep the view where it is due, look for loops and correct the map.

        Raises `OSError` (a full disk): the keyframe is not kept, all others are as before.
        """

    def locate(self, image: NDArray[np.uint8], camera: Camera) -> Location:
        """Where in the map an image, (H, W) grey or (H, W, 3) BGR, was taken; the map stays as it
        is."""

    @property
    def map_from_odom(self) -> Pose | None:
        """`x_map = R x_odom + t` (REP 105, `map` to `odom`) as of the last keyframe with odometry.

        None: before the first one, and while the present run (after a restart or a jump of the
        odometry) has no loop into the map.
        """

    @property
    def edges(self) -> tuple[LoopEdge, ...]:
        """All loops that hold, in the order in which they were accepted."""

    def path(self) -> list[MapPose]:
        """All keyframes, in the order in which they were added."""
