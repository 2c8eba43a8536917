"""What can happen to a stereo pair: raw images, one node process for all of it."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from faults.fault import Fault
from faults.feed import Feed, Messages, reliable
from faults.footage import View
from msga_ros.msg import RelativePose
from node.harness import REPOSITORY, STEREO
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage

from msga_ros.node.image_message import image_message

PARAMETERS = {
    "frontend.max_keypoints": 300,
    "max_image_pixels": 1_000_000,
    "publish.diagnostics_period": 0.2,
    "publish.no_input_warning": 1.0,
    **reliable(f"/{name}" for name in STEREO),
}


def spoil(name: str, change: Callable[[Any], None]) -> Callable[[Feed], None]:
    """Send a good set in which one message was changed."""

    def hurt(feed: Feed) -> None:
        messages = feed.good()
        change(messages[name])
        feed.send(messages)

    return hurt


def assign(**fields: Any) -> Callable[[Any], None]:
    """Set fields of a message."""

    def change(message: Any) -> None:
        for field, value in fields.items():
            setattr(message, field, value)

    return change


def pictures(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Feed], None]:
    """Send a set with other pixels in both views."""

    def hurt(feed: Feed) -> None:
        frame = feed.next_frame()
        views = [feed.view(frame, side) for side in ("left", "right")]
        changed = [replace(one, pixels=change(one.pixels)) for one in views]
        feed.send(feed.messages(feed.tick(), *changed))

    return hurt


def seen_as(change: Callable[[View], View]) -> Callable[[Feed], None]:
    """The camera is another one from now on, for three pairs; their poses must be right too."""

    def hurt(feed: Feed) -> None:
        for _ in range(3):
            frame = feed.next_frame()
            left, right = (change(feed.view(frame, side)) for side in ("left", "right"))
            errors = feed.pair(left, right)
            assert errors is not None
            errors.check()

    return hurt


def drop_right_images(feed: Feed) -> None:
    for number in range(6):
        messages = feed.good()
        if number % 2:
            del messages["right/image"]
        feed.send(messages)
        feed.spin(0.05)


def late_right_camera(feed: Feed) -> None:
    waiting: list[Messages] = []
    for _ in range(8):  # the right camera is four frames behind
        waiting.append(feed.good())
        feed.send({name: one for name, one in waiting[-1].items() if name.startswith("left")})
        if len(waiting) > 4:
            old = waiting.pop(0)
            feed.send({name: one for name, one in old.items() if name.startswith("right")})
            feed.spin(0.1)


def double(feed: Feed) -> None:
    messages = feed.good()
    feed.send(messages)
    feed.send(messages)


def swap_sets(feed: Feed) -> None:
    older, newer = feed.good(), feed.good()
    feed.send(newer)
    feed.send(older)


def mix_messages(feed: Feed) -> None:
    older, newer = feed.good(), feed.good()
    for name in older:
        first, second = (newer, older) if name.startswith("left") else (older, newer)
        feed.send({name: first[name]})
        feed.send({name: second[name]})
    feed.spin(0.3)


def silence_right(feed: Feed) -> None:
    for _ in range(15):
        left = {name: one for name, one in feed.good().items() if name.startswith("left")}
        feed.send(left)
        feed.spin(0.1)


def jump_back(feed: Feed) -> None:
    feed.now -= 60_000_000_000
    feed.send(feed.good())


def jump_to_and_fro(feed: Feed) -> None:
    for hours in (1, -1, 1, -1):
        feed.now += hours * 3_600_000_000_000
        feed.send(feed.good())
        feed.spin(0.1)


def no_stamps(feed: Feed) -> None:
    feed.send(feed.good(stamp=0))
    feed.send(feed.good(stamp=0))


def in_colour(feed: Feed) -> None:
    for _ in range(3):
        frame, stamp = feed.next_frame(), feed.tick()
        views = feed.view(frame, "left"), feed.view(frame, "right")
        messages = feed.messages(stamp, *views)
        for name in ("left/image", "right/image"):
            pixels = views[name.startswith("right")].pixels
            head = messages[name].header
            messages[name] = image_message(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), head)
        feed.send(messages)
        pose = feed.answer(stamp)
        if pose is not None:
            feed.errors(pose, *views).check()


def only_turned(feed: Feed) -> None:
    left = feed.view(feed.next_frame())
    right = left.turned(3.0)
    stamp = feed.tick()
    feed.send(feed.messages(stamp, left, right))
    pose = feed.answer(stamp)
    if pose is not None:
        assert pose.status == RelativePose.STATUS_DEGENERATE
        assert feed.errors(pose, left, right).rotation < 0.5


def two_places(feed: Feed) -> None:
    """The right camera sees something else altogether, with plenty of texture."""
    view = feed.view(feed.next_frame())
    grain = np.random.default_rng(0).normal(0.0, 1.0, view.pixels.shape)
    grain = cv2.GaussianBlur(grain, (0, 0), 1.5)
    other = (128 + 60 * grain / grain.std()).clip(0, 255).astype(np.uint8)
    feed.send(feed.messages(feed.tick(), view, replace(view, pixels=other)))


def noise(pixels: np.ndarray) -> np.ndarray:
    values = np.random.default_rng().normal(128, 3, pixels.shape)
    return values.clip(0, 255).astype(np.uint8)


def big(message: Any) -> None:
    message.width, message.height, message.step = 1200, 1000, 1200
    message.data = bytes(1_200_000)


def unfitting_subscriber(feed: Feed) -> None:
    qos = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    topic = f"{feed.namespace}/msga/relative_pose"
    heard: list[Any] = []
    late = feed.run.node.create_subscription(RelativePose, topic, heard.append, qos)
    feed.spin(0.5)
    feed.right()
    feed.run.node.destroy_subscription(late)
    assert heard == []


def stalled_subscriber(feed: Feed) -> None:
    """It stops reading in the middle of a stream of poses, matches and big pictures."""
    child = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "test" / "faults" / "stalled_subscriber.py")],
        env=feed.run.environment,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        topic = f"{feed.namespace}/msga/matches_image"
        picture = f"{topic} picture"
        feed.run.wait_for(lambda: feed.run.node.count_subscribers(topic) == 1, what=picture)
        stamps = []
        for _ in range(15):
            messages = feed.good()
            stamps.append(feed.now)
            feed.send(messages)
            feed.answer(feed.now)
        assert child.poll() is None
        answered = sum(feed.run.pose_of(stamp) is not None for stamp in stamps)
        assert answered >= 12, f"{answered} of 15 pairs were answered"
    finally:
        child.kill()
        child.wait()


def flood_of_parameters(feed: Feed) -> None:
    """20,000 changes in one request; pairs go on being answered."""
    request = SetParameters.Request()
    for number in range(20_000):
        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=float(number % 7))
        request.parameters.append(Parameter(name="network.score_threshold", value=value))
    answer = feed.run.call(SetParameters, "/msga/set_parameters", request)
    assert len(answer.results) == 20_000 and not any(one.successful for one in answer.results)


def other_transport(feed: Feed) -> None:
    """The left camera publishes compressed images alone."""
    camera = feed.run.node.create_publisher(CompressedImage, "left/image/compressed", 1)
    try:
        for _ in range(15):
            messages = feed.good()
            del messages["left/image"]
            feed.send(messages)
            feed.spin(0.1)
    finally:
        feed.run.node.destroy_publisher(camera)


def other_sign(feed: Feed) -> None:
    """A right P that puts the right camera on the left."""
    for _ in range(4):
        messages = feed.good()
        messages["right/camera_info"].p[3] *= -1
        feed.send(messages)
        feed.answer(feed.now)


def storm(feed: Feed) -> None:
    """A hundred bad sets as fast as they go."""
    for number in range(100):
        messages = feed.good()
        change = STORM[number % len(STORM)]
        change(messages)
        feed.send(messages)


STORM: tuple[Callable[[Messages], None], ...] = (
    lambda one: setattr(one["left/image"], "encoding", f"magic{id(one)}"),
    lambda one: setattr(one["right/image"], "data", one["right/image"].data[:999]),
    lambda one: setattr(one["left/camera_info"], "k", [0.0] * 9),
    lambda one: setattr(one["right/image"], "height", one["right/image"].height - 40),
)

NAN = float("nan")

FAULTS: tuple[Fault, ...] = (
    Fault("frames of one camera dropped", drop_right_images, counts="unpaired /left/image"),
    Fault("one camera 0.4 s late", late_right_camera, counts="complete_sets"),
    Fault("frames doubled", double, counts="dropped duplicate", quick=True),
    Fault("frames out of order", swap_sets, counts="dropped out_of_order", quick=True),
    Fault("messages of two frames mixed", mix_messages, counts="complete_sets"),
    Fault(
        "one camera silent, then back",
        silence_right,
        r"no complete set of messages.*/right/image: 0 received",
        quick=True,
    ),
    Fault("time jumps back a minute", jump_back, r"time jumped back by 59\.\d+ s", quick=True),
    Fault("time jumps to and fro", jump_to_and_fro, r"time jumped back by 35\d\d\.\d+ s"),
    Fault("stamps of zero", no_stamps, r"time jumped back by \d+\.\d+ s"),
    Fault(
        "image size changes",
        seen_as(lambda view: view.resized(0.8)),
        r"the image size changed from \S+ to \S+",
        quick=True,
    ),
    Fault(
        "image size unlike its calibration",
        spoil("right/image", lambda one: setattr(one, "height", one.height // 2)),
        r"/right/image: the image is \S+, its camera_info says \S+",
    ),
    Fault("encoding changes", in_colour, "the encoding changed from mono8 to bgr8"),
    Fault(
        "encoding unknown",
        spoil("left/image", assign(encoding="yuv422_magic")),
        "/left/image: unknown encoding 'yuv422_magic'",
    ),
    Fault(
        "calibration changes",
        seen_as(lambda view: view.zoomed(1.25)),
        r"the calibration changed from fx \S+ .* to fx \S+",
    ),
    Fault(
        "sign of the baseline",
        other_sign,
        r"the sign of P\[3\] of the right camera is wrong, or left and right are swapped",
    ),
    Fault(
        "R that is no rotation",
        spoil("right/camera_info", assign(r=[2.0, 0, 0, 0, 2, 0, 0, 0, 2])),
        r"/right/camera_info: .*r of the right camera is no rotation",
    ),
    Fault(
        "NaN in K",
        spoil("left/camera_info", assign(k=[NAN] * 9)),
        "/left/camera_info: [^\n]+",
        quick=True,
    ),
    Fault("zeros in K", spoil("right/camera_info", assign(k=[0.0] * 9)), "/right/camera_info: .+"),
    Fault("NaN in D", spoil("left/camera_info", assign(d=[NAN] * 5)), "/left/camera_info: .+"),
    Fault(
        "infinite focal length",
        spoil(
            "left/camera_info", assign(k=[math.inf, 0.0, 9.0, 0.0, math.inf, 9.0, 0.0, 0.0, 1.0])
        ),
        "/left/camera_info: .+",
    ),
    Fault("NaN in P", spoil("right/camera_info", assign(p=[NAN] * 12)), "/right/camera_info: .+"),
    Fault(
        "distortion model unknown",
        spoil("left/camera_info", assign(distortion_model="crystal_ball", d=[0.1] * 4)),
        "/left/camera_info: .*crystal_ball",
    ),
    Fault(
        "image truncated",
        spoil("right/image", lambda one: setattr(one, "data", one.data[:1000])),
        "/right/image: 1000 bytes of data for .+",
        quick=True,
    ),
    Fault(
        "step shorter than a row",
        spoil("left/image", assign(step=5)),
        "/left/image: step 5 is shorter than a row of .+",
    ),
    Fault(
        "image oversized",
        spoil("left/image", big),
        r"an image of 1200x1000 pixels, more than max_image_pixels \(1000000\)",
    ),
    Fault(
        "image announced to be huge",
        spoil("left/image", assign(width=2**31, height=2**31, step=2**31)),
        "an image of 2147483648x2147483648 pixels, more than max_image_pixels",
    ),
    Fault("image of no pixels", spoil("left/image", assign(width=0)), "an image of 0x.+ pixels"),
    Fault("black frames", pictures(np.zeros_like), r"0 features in the image", quick=True),
    Fault("white frames", pictures(lambda one: np.full_like(one, 255)), "0 features in the image"),
    Fault(
        "blurred frames",
        pictures(lambda one: cv2.GaussianBlur(one, (0, 0), 25.0)),
        r"\d+ features in the image|TOO_FEW_MATCHES: .+",
    ),
    Fault(
        "frames without texture",
        pictures(noise),
        r"\d+ features in the image|TOO_FEW_MATCHES: .+",
    ),
    Fault("two views of different places", two_places, "TOO_FEW_MATCHES: .+"),
    Fault("pure rotation", only_turned, "DEGENERATE: .+", quick=True),
    Fault(
        "subscriber whose QoS does not fit",
        unfitting_subscriber,
        r"/msga/relative_pose: a subscription asks for another QoS than we offer \(durability\)",
    ),
    Fault("subscriber that stalls", stalled_subscriber, "latency_publish_ms: .+"),
    Fault(
        "100,000 distortion coefficients",
        spoil("left/camera_info", assign(d=[0.1] * 100_000)),
        "100000 distortion coefficients: no model has so many",
        quick=True,
    ),
    Fault(
        "distortion model with a name of a megabyte",
        spoil("left/camera_info", assign(distortion_model="x" * 1_000_000, d=[0.1] * 4)),
        r"unknown distortion model 'x{100,200}\.\.\. \(known",
        quick=True,
    ),
    Fault(
        "encoding with a name of a megabyte",
        spoil("left/image", assign(encoding="y" * 1_000_000)),
        r"unknown encoding 'y{1,200}\.\.\.",
    ),
    Fault("20,000 parameters at once", flood_of_parameters, r"\d Hz", quick=True),
    Fault(
        "images compressed for a node that takes raw ones",
        other_transport,
        r"/left/image/compressed is published: set image_transport to compressed",
        quick=True,
    ),
    Fault("storm of 100 bad sets", storm, counts="dropped bad_input"),
)
