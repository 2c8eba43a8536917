"""`msga_player`: publishes a sequence as cameras would, with the true poses beside it.

Topics, relative, best effort (sensor data): in mode `stereo` `left/image`, `left/camera_info`,
`right/image`, `right/camera_info`; in mode `temporal` `image`, `camera_info`, in mode `rgbd`
`depth/image` as well. Reliable, with the
stamp of the images: `~/sent` (`std_msgs/Header`, after each frame) and, where the truth is known,
`~/left/true_pose`, `~/right/true_pose` or `~/true_pose` (`geometry_msgs/PoseStamped`: the pose of
the camera's optical frame in the world). Ends by itself after the last frame.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import rclpy
from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.task import Future
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from msga_ros.datasets.sequences.base import LEFT, Frame, SequenceError
from msga_ros.datasets.sequences.base import Sequence as FrameSequence
from msga_ros.datasets.sequences.source import SYNTHETIC, open_sequence
from msga_ros.datasets.sequences.video import VideoSequence, guess_camera
from msga_ros.node.image_message import image_message
from msga_ros.node.qos import overrides, sensor_qos
from msga_ros.stream.message_set import DEPTH_INPUT, INPUTS
from msga_ros.tools.player_messages import (
    camera_info_message,
    depth_message,
    pose_message,
    rectifications,
)

WORLD = "world"
# A reader that we have found may need a moment longer to find us.
_SETTLE = 0.5

_DESCRIPTIONS = {
    "source": (SYNTHETIC, "synthetic, a folder with scene.json, or a video file."),
    "mode": ("stereo", "stereo: left and right camera; temporal: one camera; rgbd: with depth."),
    "rate": (0.0, "Frames per second; 0: as the sequence was taken."),
    "frames": (0, "Frames to play; 0: all."),
    "loop": (False, "Begin again after the last frame, for ever."),
    "stamps": ("wall", "wall: the time of sending; sequence: as recorded (jumps back on a loop)."),
    "wait_for_subscribers": (10.0, "Seconds to wait until each topic has a subscriber."),
    "wait_for_sent": (False, "Wait for a subscriber of ~/sent, too: one who counts the frames."),
    "seed": (0, "Which synthetic scene."),
    "focal": (0.0, "Focal length of a video in pixels; 0: guessed."),
}


@dataclass(frozen=True)
class CameraPublishers:
    """Of one camera."""

    image: Publisher
    camera_info: Publisher
    true_pose: Publisher
    frame_id: str


class Player(Node):
    """Publishes frame by frame; `finished` is done after the last one.

    Raises `SequenceError` where the source cannot be played.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("msga_player", **kwargs)
        self.finished: Future = Future()
        self.sent = 0
        self._settings = {name: self._declare(name) for name in _DESCRIPTIONS}
        for name, allowed in (("mode", tuple(INPUTS)), ("stamps", ("wall", "sequence"))):
            if self._settings[name] not in allowed:
                raise SequenceError(f"parameter {name} must be one of {', '.join(allowed)}")
        self._sequence = self._open()
        self._frames = self._playing_order()
        self._next = next(self._frames, None)  # made ahead, so that it can go out in time
        self._cameras = {side: self._advertise(side) for side in self._sequence.cameras}
        self._depth: Publisher | None = None
        if self._settings["mode"] == "rgbd":
            self._depth = self.create_publisher(
                Image, DEPTH_INPUT, sensor_qos(), qos_overriding_options=overrides()
            )
        self._sent_publisher = self.create_publisher(Header, "~/sent", QoSProfile(depth=100))
        rate = self._settings["rate"] or self._sequence.rate
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._deadline = time.monotonic() + self._settings["wait_for_subscribers"]
        self._waiting = self.create_timer(0.05, self._wait, clock=self._steady)
        self._period = 1.0 / rate
        self._settled = 0.0

    def flush(self) -> None:
        """Give the last messages time to arrive before the publishers go."""
        for publisher in self.publishers:
            publisher.wait_for_all_acked(Duration(seconds=1.0))
        time.sleep(_SETTLE)  # best effort is not acknowledged

    def _declare(self, name: str) -> Any:
        default, description = _DESCRIPTIONS[name]
        descriptor = ParameterDescriptor(description=description, read_only=True)
        if type(default) is float:
            descriptor.floating_point_range = [FloatingPointRange(from_value=0.0, to_value=1e6)]
        elif type(default) is int:
            descriptor.integer_range = [IntegerRange(from_value=0, to_value=2**31 - 1, step=1)]
        return self.declare_parameter(name, default, descriptor).value

    def _open(self) -> FrameSequence:
        settings = self._settings
        stereo = settings["mode"] == "stereo"
        source, frames = settings["source"], settings["frames"]
        depth = settings["mode"] == "rgbd"
        sequence = open_sequence(source, stereo, seed=settings["seed"], frames=frames, depth=depth)
        if isinstance(sequence, VideoSequence) and settings["focal"] > 0:
            size = (sequence.camera.width, sequence.camera.height)
            sequence = VideoSequence(sequence.path, guess_camera(*size, settings["focal"]))
        return sequence

    def _playing_order(self) -> Iterator[Frame]:
        limit = self._settings["frames"] or None
        if self._settings["loop"]:
            rounds = (itertools.islice(self._sequence, limit) for _ in itertools.count())
            return itertools.chain.from_iterable(rounds)
        return itertools.islice(self._sequence, limit)

    def _advertise(self, side: str) -> CameraPublishers:
        stereo = self._settings["mode"] == "stereo"
        prefix = f"{side}/" if stereo else ""
        image, camera_info = (
            self.create_publisher(
                kind, prefix + name, sensor_qos(), qos_overriding_options=overrides()
            )
            for name, kind in (("image", Image), ("camera_info", CameraInfo))
        )
        return CameraPublishers(
            image,
            camera_info,
            self.create_publisher(PoseStamped, f"~/{prefix}true_pose", QoSProfile(depth=100)),
            f"{side if stereo else 'camera'}_optical_frame",
        )

    def _wait(self) -> None:
        """Start to play once everything has a subscriber, or the waiting time is over."""
        now = time.monotonic()
        needed = [one for made in self._cameras.values() for one in (made.image, made.camera_info)]
        needed += [] if self._depth is None else [self._depth]
        needed += [self._sent_publisher] if self._settings["wait_for_sent"] else []
        missing = [one.topic_name for one in needed if one.get_subscription_count() == 0]
        if missing and now < self._deadline:
            self._settled = 0.0
            return
        self._settled = self._settled or now
        if not missing and now - self._settled < _SETTLE:
            return
        if missing:
            self.get_logger().warning(f"no subscriber of {', '.join(missing)}; playing anyway")
        self.destroy_timer(self._waiting)
        self.create_timer(self._period, self._play, clock=self._steady)

    def _play(self) -> None:
        frame = self._next
        if frame is None:
            self.finished.set_result(self.sent)
            return
        stamp = self._stamp(frame)
        matrices = rectifications(frame)
        for side, made in self._cameras.items():
            image = frame.images[side]
            header = Header(stamp=stamp, frame_id=made.frame_id)
            info = camera_info_message(frame.cameras[side], matrices[side], header, image)
            if frame.poses is not None:
                made.true_pose.publish(pose_message(frame.poses[side], stamp, WORLD))
            made.camera_info.publish(info)
            made.image.publish(image_message(image, header))
        frame_id = self._cameras[LEFT].frame_id
        if self._depth is not None and frame.depth is not None:
            header = Header(stamp=stamp, frame_id=frame_id)
            self._depth.publish(depth_message(frame.depth, header))
        self._sent_publisher.publish(Header(stamp=stamp, frame_id=frame_id))
        self.sent += 1
        self._next = next(self._frames, None)

    def _stamp(self, frame: Frame) -> TimeMessage:
        if self._settings["stamps"] == "sequence":
            return Time(nanoseconds=round(frame.stamp * 1e9)).to_msg()
        return self.get_clock().now().to_msg()


def main(args: Sequence[str] | None = None) -> int:
    """Play once (or for ever with `loop`); the exit code, 1 where the source cannot be played."""
    rclpy.init(args=None if args is None else list(args))
    player = None
    try:
        player = Player()
        rclpy.spin_until_future_complete(player, player.finished)
        if not rclpy.ok():  # ended by a signal: there is no context left to send in
            return 0
        player.flush()
        player.get_logger().info(f"{player.sent} frames sent")
    except (SequenceError, ParameterException) as error:
        print(f"msga_player: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except RuntimeError:  # RCLError has no public name
        if rclpy.ok():
            raise
        return 0  # the signal came while something was being sent
    finally:
        if player is not None:
            player.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
