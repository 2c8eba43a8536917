"""Where the camera of a bag sits on the robot: from a parameter, or from the bag's `/tf_static`."""

from __future__ import annotations

from collections.abc import Callable

from msga_ros.bags.errors import BagError
from msga_ros.bags.reading import Bag
from msga_ros.bags.types import TF_MESSAGE, typestore
from msga_ros.odometry.mount import Mount
from msga_ros.stream.robot_settings import RobotSettings
from msga_ros.stream.static_transforms import StaticTransforms

STATIC = "/tf_static"


class BagMounts:
    """Places of the camera on `robot.base_frame`; transforms hold for the whole bag.

    `robot`: None where nothing is told in its frame. `warn` hears of transforms that cannot be.
    """

    def __init__(self, bag: Bag, robot: RobotSettings | None, warn: Callable[[str], None]) -> None:
        self._robot = robot
        self._static = StaticTransforms()
        self._source = bag.path
        if robot is not None and robot.base_frame and robot.mount is None:
            self._static = static_transforms(bag, warn)

    def mount(self, camera_frame: str) -> Mount | None:
        """The place of the camera; None where the odometry is that of the camera itself.

        Raises `BagError` where a base frame is asked for, and the place on it is not known.
        """
        if self._robot is None or not self._robot.base_frame or self._robot.mount is not None:
            return None if self._robot is None else self._robot.mount
        base = self._robot.base_frame
        found = self._static.lookup(base, camera_frame) if camera_frame else None
        if found is None:
            why = "the images have no frame_id"
            if camera_frame:
                why = self._static.explain(base, camera_frame)
            raise BagError(
                f"{self._source}: no odometry of {base!r}, the place of the camera on it is not "
                f"known: {why}; give odometry.camera_in_base, or leave odometry.base_frame out"
            )
        return Mount(base, *found)


def static_transforms(bag: Bag, warn: Callable[[str], None]) -> StaticTransforms:
    """What `/tf_static` says, for the whole bag."""
    found = StaticTransforms()
    for raw in bag.messages([STATIC]):
        try:
            message = typestore().deserialize_cdr(raw.data, TF_MESSAGE)
        except Exception as error:  # whatever the bytes make of the decoder
            warn(f"{STATIC}: a message that cannot be read ({type(error).__name__})")
            continue
        for problem in found.add_all(message.transforms):
            warn(f"{STATIC}: {problem}")
    return found
