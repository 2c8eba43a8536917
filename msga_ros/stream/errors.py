"""Why a message could not be used."""

from __future__ import annotations


class BadInput(ValueError):
    """A message that cannot be used; `kind` is a short stable name, `topic` where it came from.

    Kinds: `camera_info` (zeros, NaN, unknown distortion model), `image_size` (differs from what its
    camera_info says), `encoding` (unknown), `truncated` (fewer bytes than announced), `oversized`
    (more pixels than `max_image_pixels`), `compressed` (not a picture that can be decoded).
    """

    def __init__(self, kind: str, text: str, topic: str = "") -> None:
        super().__init__(f"{topic}: {text}" if topic else text)
        self.kind = kind
        self.text = text
        self.topic = topic

    def on(self, topic: str) -> BadInput:
        """The same complaint about a named topic."""
        return BadInput(self.kind, self.text, topic)


class ConfigureError(RuntimeError):
    """The node could not be configured; the message is the reason."""
