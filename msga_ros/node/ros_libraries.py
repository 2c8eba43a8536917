"""`message_filters` and `cv_bridge` where the distribution has them, otherwise our stand-ins."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

from msga_ros.stream import message_filters_fallback
from msga_ros.stream.cv_bridge_fallback import CvBridge, ImageBridge


def filters_module() -> ModuleType:
    """`message_filters` where it imports, otherwise our stand-ins."""
    try:
        import message_filters
    except ImportError:
        return message_filters_fallback
    module: ModuleType = message_filters
    return module


def image_bridge() -> ImageBridge:
    """The original `CvBridge` where it works, otherwise ours."""
    pixel = SimpleNamespace(
        height=1, width=1, encoding="mono8", is_bigendian=0, step=1, data=b"\x07"
    )
    try:
        from cv_bridge import CvBridge as Original

        original: ImageBridge = Original()
        # One that was built for another numpy or OpenCV imports, and fails at the first image.
        works = int(original.imgmsg_to_cv2(pixel, "passthrough")[0, 0]) == 7
    except Exception:
        return CvBridge()
    return original if works else CvBridge()
