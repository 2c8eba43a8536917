"""Why a bag cannot be used."""

from __future__ import annotations


class BagError(ValueError):
    """A bag, a topic or an option that cannot be used; the message is one line that says why."""


def require_rosbags() -> None:
    """Raise `BagError` where the library `rosbags` is not installed."""
    try:
        import rosbags  # noqa: F401
    except ModuleNotFoundError:
        raise BagError(
            "bags need the library rosbags: pip install 'msga_ros[bags]' (or: pip install rosbags)"
        ) from None
