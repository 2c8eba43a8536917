"""What `/tf_static` and `/tf` say of the robot: the camera's place, and who moves which frame."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from geometry_msgs.msg import TransformStamped
from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription

from msga_ros.foreign_text import shown
from msga_ros.node.qos import output_qos, static_qos
from msga_ros.odometry.mount import Mount
from msga_ros.stream.processor import Complain
from msga_ros.stream.robot_settings import RobotSettings
from msga_ros.stream.static_transforms import StaticTransforms

if TYPE_CHECKING:
    from tf2_msgs.msg import TFMessage

STATIC, DYNAMIC = "/tf_static", "/tf"

_LISTEN_FIRST = 1.0  # s, before a transform is published: others may be there already
_MEMORY = 10.0  # s without a transform of another node: it is gone, as in tf2's buffer
_MOST_FRAMES = 10_000
_LONGEST = 200  # characters of a name that are looked at
_OWN = 1000  # our newest transforms, to know them again


class RobotFrames:
    """Listens to `/tf_static` for the camera's place and, where we publish a transform, to `/tf`.

    `message`: the type TFMessage, None where it is not installed. `complain(kind, topic, text)`
    is called for transforms that are invalid. Filled in the executor thread, asked by the worker.
    """

    def __init__(
        self,
        node: LifecycleNode,
        robot: RobotSettings,
        publishes: bool,
        message: type | None,
        complain: Complain,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node = node
        self._robot = robot
        self._complain = complain
        self._clock = clock
        self._began = clock()
        self._static = StaticTransforms()
        self._others: dict[str, tuple[str, float]] = {}  # by child: parent, last heard of
        self._own: deque[tuple[object, ...]] = deque(maxlen=_OWN)
        self._own_child = ""
        self._mount: tuple[int, Mount] | None = None  # of this session
        self._subscriptions: list[Subscription] = []
        asked = publishes or (robot.base_frame and robot.mount is None)
        if message is None or not asked:
            return
        subscribe = partial(node.create_subscription, message)
        self._subscriptions.append(subscribe(STATIC, self._on_static, static_qos()))
        if publishes:
            self._subscriptions.append(subscribe(DYNAMIC, self._on_dynamic, output_qos(100)))

    def close(self) -> None:
        """Take the subscriptions down."""
        for one in self._subscriptions:
            self._node.destroy_subscription(one)
        self._subscriptions = []

    def mount(self, camera_frame: str, session: int) -> Mount | None:
        """The place of the camera; None where it is not known. It does not change in a session."""
        if self._robot.mount is not None:
            return self._robot.mount
        base = self._robot.base_frame
        found = self._static.lookup(base, camera_frame) if camera_frame else None
        if self._mount is None or self._mount[0] != session:
            self._mount = None if found is None else (session, Mount(base, *found))
        elif found is not None and not self._mount[1].agrees(*found):
            name = shown(repr(camera_frame))
            text = f"the place of {name} on {base!r} has changed: it holds after ~/reset"
            self._complain("transform", STATIC, text)
        return None if self._mount is None else self._mount[1]

    def missing(self, camera_frame: str) -> str:
        """Why the place of the camera is not known."""
        if not self._subscriptions:
            why = "tf2_msgs is not installed: give odometry.camera_in_base"
        elif not camera_frame:
            why = "the images have no frame_id: give odometry.camera_in_base"
        else:
            why = self._static.explain(self._robot.base_frame, camera_frame)
        return (
            f"no odometry of {self._robot.base_frame!r}, the place of the camera on it is not "
            f"known: {why}"
        )

    @property
    def listened(self) -> bool:
        """Whether other nodes had the time to say which frames they publish."""
        return self._clock() - self._began >= _LISTEN_FIRST

    def rival(self, parent: str, child: str) -> str:
        """Which transform gives `child` a parent already, so that ours must not; "" without one."""
        static = self._static.parent(child)
        other, heard = self._others.get(child, ("", 0.0))
        if static:
            text = f"{static!r}, on {STATIC}"
        elif other and self._clock() - heard < _MEMORY:
            text = f"{other!r}, on {DYNAMIC} by another node"
        else:
            return ""
        return (
            f"no transform from {parent!r} to {shown(repr(child))}, which has a parent already: "
            f"{text}. A frame has one parent: see odometry.base_frame and publish.tf_inverted"
        )

    def published(self, transform: TransformStamped) -> None:
        """Know a transform of ours again; called before it goes out."""
        self._own_child = transform.child_frame_id
        self._own.append(_identity(transform))

    def _on_static(self, message: TFMessage) -> None:
        for problem in self._static.add_all(message.transforms):
            self._complain("transform", STATIC, problem)

    def _on_dynamic(self, message: TFMessage) -> None:
        for one in message.transforms[:_MOST_FRAMES]:
            child = one.child_frame_id[:_LONGEST].lstrip("/")
            ours = child == self._own_child and _identity(one) in self._own
            if not ours and (child in self._others or len(self._others) < _MOST_FRAMES):
                self._others[child] = (one.header.frame_id[:_LONGEST].lstrip("/"), self._clock())


def _identity(one: TransformStamped) -> tuple[object, ...]:
    stamp, shift, turn = one.header.stamp, one.transform.translation, one.transform.rotation
    ends = (one.header.frame_id, one.child_frame_id, stamp.sec, stamp.nanosec)
    return (*ends, shift.x, shift.y, shift.z, turn.x, turn.y, turn.z, turn.w)
