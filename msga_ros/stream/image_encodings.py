"""The encodings of `sensor_msgs/Image` that a camera sends, and how their bytes lie.

Names are those of `sensor_msgs/image_encodings.hpp`, with those that older and newer releases have;
layouts of YUV are those of the "Video for Linux API".
"""

from __future__ import annotations

from typing import NamedTuple

import cv2


class Layout(NamedTuple):
    """`kind`: NumPy's name of a channel's type; `channels` of a pixel, one beside the other.

    `to_bgr`: the OpenCV conversion to BGR; None: grey or BGR already.
    """

    kind: str
    channels: int
    to_bgr: int | None = None

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel."""
        return int(self.kind[1:]) * self.channels


class SemiPlanar(NamedTuple):
    """A plane of luma, then one of pairs of chroma.

    `shared`: so many columns and rows share a pair. `u_first`: the order in a pair.
    """

    shared: int
    u_first: bool


# The order in a ROS name is that of the first two pixels of the first two rows; OpenCV names the
# second pixel of the second row first: bayer_rggb is COLOR_BayerBG.
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2BGR,
    "bggr": cv2.COLOR_BayerRG2BGR,
    "gbrg": cv2.COLOR_BayerGR2BGR,
    "grbg": cv2.COLOR_BayerGB2BGR,
}

LAYOUTS: dict[str, Layout] = {
    "mono8": Layout("u1", 1),
    "mono16": Layout("u2", 1),
    **{
        f"{name}{8 * size}": Layout(f"u{size}", channels, code)
        for size in (1, 2)
        for name, channels, code in (
            ("bgr", 3, None),
            ("rgb", 3, cv2.COLOR_RGB2BGR),
            ("bgra", 4, cv2.COLOR_BGRA2BGR),
            ("rgba", 4, cv2.COLOR_RGBA2BGR),
        )
    },
    **{
        f"{name}C{channels}": Layout(kind, channels, code)
        for name, kind in (("8U", "u1"), ("16U", "u2"), ("32F", "f4"))
        for channels, code in ((1, None), (3, None), (4, cv2.COLOR_BGRA2BGR))
    },
    "16SC1": Layout("i2", 1),
    "32SC1": Layout("i4", 1),
    **{
        f"bayer_{order}{8 * size}": Layout(f"u{size}", 1, code)
        for size in (1, 2)
        for order, code in _BAYER.items()
    },
    **{name: Layout("u1", 2, cv2.COLOR_YUV2BGR_UYVY) for name in ("uyvy", "yuv422")},
    **{name: Layout("u1", 2, cv2.COLOR_YUV2BGR_YUY2) for name in ("yuyv", "yuv422_yuy2")},
}

SEMI_PLANAR: dict[str, SemiPlanar] = {
    "nv12": SemiPlanar(2, u_first=True),
    "nv21": SemiPlanar(2, u_first=False),
    "nv24": SemiPlanar(1, u_first=True),
}


def is_bayer(encoding: str) -> bool:
    """Whether the pixels are a mosaic of colours."""
    return encoding.startswith("bayer_") and encoding in LAYOUTS


def is_packed_yuv(encoding: str) -> bool:
    """Whether two pixels side by side share their chroma."""
    return encoding in LAYOUTS and LAYOUTS[encoding].channels == 2
