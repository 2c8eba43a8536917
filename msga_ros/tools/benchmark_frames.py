"""Frames of the rendered sequence as ROS messages, made before anything is timed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from std_msgs.msg import Header

from msga_ros.datasets.sequences.base import Frame
from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence
from msga_ros.node.image_message import image_message
from msga_ros.stream.message_set import DEPTH_INPUT
from msga_ros.tools.player_messages import camera_info_message, depth_message, rectifications

Messages = Mapping[str, object]


def frames_for(rate: float, count: int) -> int:
    """As many frames at `rate` as it takes for the way of `count` at the sequence's own rate."""
    return round(count * max(rate / SyntheticOptions().rate, 1.0))


def rendered_frames(
    mode: str, size: tuple[int, int], count: int, rate: float = 0.0
) -> list[Messages]:
    """`count` frames of a moving camera, `size` (width, height): input of the node to message.

    At a higher `rate` than its own the camera is as fast as ever: its frames lie nearer together.
    """
    width, height = size
    stereo = mode == "stereo"
    options = SyntheticOptions(
        frames=count,
        frames_per_round=frames_for(rate, SyntheticOptions().frames_per_round),
        width=width,
        height=height,
        focal=0.75 * width,
        stereo=stereo,
        depth=mode == "rgbd",
    )
    return [_messages(frame, stereo) for frame in SyntheticSequence(options)]


def there_and_back(frames: list[Messages]) -> Iterator[Messages]:
    """The frames forwards and backwards for ever: the camera never stands still, never jumps."""
    return itertools.cycle([*frames, *frames[-2:0:-1]])


def _messages(frame: Frame, stereo: bool) -> Messages:
    matrices = rectifications(frame)
    messages = {}
    for side, image in frame.images.items():
        prefix = f"{side}/" if stereo else ""
        header = Header(frame_id=f"{side if stereo else 'camera'}_optical_frame")
        messages[prefix + "camera_info"] = camera_info_message(
            frame.cameras[side], matrices[side], header, image
        )
        messages[prefix + "image"] = image_message(image, header)
        if frame.depth is not None:
            messages[DEPTH_INPUT] = depth_message(frame.depth, header)
    return messages
