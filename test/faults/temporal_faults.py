"""What can happen to one camera: compressed images, a GPU that is not there, one process."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from faults.fault import Fault
from faults.feed import Feed, reliable
from faults.footage import View
from msga_ros.msg import RelativePose
from node.harness import stamp_ns

PARAMETERS = {
    "mode": "temporal",
    "image_transport": "compressed",
    "network.device": "cuda:7",  # absent nearly everywhere
    "frontend.max_keypoints": 300,
    "publish.diagnostics_period": 0.2,
    "publish.no_input_warning": 1.0,
    **reliable(("/image/compressed", "/camera_info")),
}


def png(width: int, height: int, data: bytes) -> bytes:
    """A grey PNG of one bit a pixel with this (compressed) data."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def bomb() -> bytes:
    """Some 20 KB that decode to 144 million pixels."""
    side = 12_000
    return png(side, side, zlib.compress(bytes((side // 8 + 1) * side), 9))


def picture(change: Callable[[bytes], bytes]) -> Callable[[Feed], None]:
    """Send an image with other compressed data."""

    def hurt(feed: Feed) -> None:
        messages = feed.good()
        messages["image"].data = change(bytes(messages["image"].data))
        feed.send(messages)

    return hurt


def compressed_depth(feed: Feed) -> None:
    """Twelve bytes of header before the PNG, as that transport sends it."""
    messages = feed.good()
    messages["image"].format = "16UC1; compressedDepth png"
    messages["image"].data = bytes(12) + png(8, 8, zlib.compress(bytes(16)))
    feed.send(messages)


def send_bomb(feed: Feed) -> None:
    before = feed.resources().peak
    picture(lambda _: bomb())(feed)
    feed.spin(0.5)
    assert feed.resources().peak < before + 40.0, "the picture was decoded"


def steps(feed: Feed, *views: View) -> Any:
    """Send views one after the other, the last one until it has its pose; that pose."""
    for view in views[:-1]:
        stamp = feed.tick()
        feed.send(feed.messages(stamp, view))
        feed.answer(stamp, 1.0)
    stamp = feed.tick()
    feed.send(feed.messages(stamp, views[-1]))
    return feed.answer(stamp)


def black_between(feed: Feed) -> None:
    """The frame after a black one is related to the last good one before it."""
    first, second = feed.view(3), feed.view(4)
    black = replace(first, pixels=np.zeros_like(first.pixels))
    pose = steps(feed, first, black, second)
    if pose is not None and stamp_ns(pose.reference_header) == feed.now - 200_000_000:
        feed.errors(pose, first, second).check()
    else:
        assert pose is None or stamp_ns(pose.reference_header) != feed.now - 100_000_000


def drop(feed: Feed) -> None:
    """Two frames are missing; the next is related to the last one that came."""
    first, second = feed.view(2), feed.view(5)
    pose = steps(feed, first, second)
    if pose is not None and stamp_ns(pose.reference_header) == feed.now - 100_000_000:
        feed.errors(pose, first, second).check()
    feed.send({"image": feed.good()["image"]})  # and one that lacks its calibration


def double(feed: Feed) -> None:
    messages = feed.good()
    feed.send(messages)
    feed.send(messages)


def swap(feed: Feed) -> None:
    older, newer = feed.good(), feed.good()
    feed.send(newer)
    feed.send(older)


def loop(feed: Feed) -> None:
    """A bag that starts again: its first frame must not be related to its last."""
    feed.right()
    feed.now -= 30_000_000_000
    messages = feed.good()
    feed.send(messages)
    assert feed.answer(feed.now, 1.0) is None


def turn(feed: Feed) -> None:
    """A turn on the spot: the rotation holds, the direction does not, and the status says so."""
    first = feed.view(6)
    pose = steps(feed, first, first.turned(2.0))
    if pose is not None and stamp_ns(pose.reference_header) == feed.now - 100_000_000:
        assert pose.status == RelativePose.STATUS_DEGENERATE
        assert feed.errors(pose, first, first.turned(2.0)).rotation < 0.5


def zoom(feed: Feed) -> None:
    """Another lens from one frame to the next: each view has its own calibration."""
    first, second = feed.view(7), feed.view(8).zoomed(1.2)
    pose = steps(feed, first, second)
    if pose is not None and stamp_ns(pose.reference_header) == feed.now - 100_000_000:
        feed.errors(pose, first, second).check()


def as_png(feed: Feed) -> None:
    messages = feed.good()
    pixels = feed.view(5).pixels
    messages["image"].data = cv2.imencode(".png", pixels)[1].tobytes()
    messages["image"].format = "png"
    feed.send(messages)


def silence_info(feed: Feed) -> None:
    """The last calibration counts, and no frame is lost."""
    feed.right()
    for number in range(10):
        feed.send({"image": feed.good()["image"]})
        if number >= 2:  # so many wait for a calibration of their own at first
            assert feed.answer(feed.now) is not None


FAULTS: tuple[Fault, ...] = (
    Fault(
        "GPU asked for and absent",
        lambda feed: None,
        r"network\.device is 'cuda:7', but there .* CUDA device.*; the network runs on the CPU",
        quick=True,
    ),
    Fault("frames dropped", drop, counts="unpaired /image/compressed"),
    Fault("frames doubled", double, counts="dropped duplicate"),
    Fault("frames out of order", swap, counts="dropped out_of_order"),
    Fault("a bag that loops", loop, r"time jumped back by \d+\.\d+ s"),
    Fault(
        "calibration silent, then back",
        silence_info,
        r"calibration camera_info: the last one",
    ),
    Fault(
        "JPEG truncated",
        picture(lambda data: data[: len(data) // 2]),
        r"/image/compressed: the compressed picture breaks off after \d+ bytes",
        quick=True,
    ),
    Fault(
        "compressed bomb of 144 million pixels",
        send_bomb,
        r"an image of 12000x12000 pixels, more than max_image_pixels \(50000000\)",
        quick=True,
    ),
    Fault(
        "neither JPEG nor PNG",
        picture(lambda data: data[::-1]),
        r"neither a JPEG nor a PNG, WebP or TIFF \(it begins with .+\)",
    ),
    Fault(
        "compressedDepth instead of compressed",
        compressed_depth,
        "/image/compressed: compressedDepth holds distances, not a picture",
    ),
    Fault("nothing at all", picture(lambda data: b""), "neither a JPEG nor a PNG, WebP or TIFF .+"),
    Fault(
        "PNG with broken data",
        picture(lambda data: png(512, 154, b"no deflate stream")),
        r".*512x154.* cannot be decoded|\d+ features in the image",
    ),
    Fault("JPEG, then PNG", as_png, "the encoding changed from jpeg to png"),
    Fault("black frame in between", black_between, "0 features in the image"),
    Fault("pure rotation", turn, "DEGENERATE: .+"),
    Fault("calibration changes", zoom, "the calibration changed from .+ to .+"),
)
