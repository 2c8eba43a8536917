"""Which topic of a bag is which input of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msga_ros.bags.errors import BagError
from msga_ros.bags.types import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE
from msga_ros.configuration.parameter import nearest
from msga_ros.stream.compressed_depth import TRANSPORT
from msga_ros.stream.message_set import DEPTH_INPUT, INPUTS

_USEFUL = (IMAGE, COMPRESSED_IMAGE, CAMERA_INFO)


@dataclass(frozen=True)
class Topics:
    """`by_input`: input name (`left/image`, `camera_info`, ...) to topic of the bag; `files`: of a
    camera_info input, the calibration file that takes its place."""

    by_input: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> Mapping[str, str]:
        """Where each input comes from, topic or file."""
        return {**self.by_input, **self.files}

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs, in the order that the pipeline has them."""
        return tuple(self.by_input)

    @property
    def by_topic(self) -> dict[str, list[str]]:
        """The inputs that a topic feeds."""
        inputs: dict[str, list[str]] = {}
        for name, topic in self.by_input.items():
            inputs.setdefault(topic, []).append(name)
        return inputs


def choose_topics(
    mode: str,
    given: Mapping[str, str],
    types: Mapping[str, str],
    files: Mapping[str, str] | None = None,
) -> Topics:
    """The topics of a bag that holds `types` (topic to message type).

    `given` names some by input; for the others the node's own names are taken (`/left/image`), and
    for a camera_info the one beside its image. An image topic may be raw or compressed; where only
    `<topic>/compressed` exists, of depth images `<topic>/compressedDepth`, it is taken. What
    `files` has needs no topic. Raises `BagError`, which lists what the bag offers.
    """
    inputs = INPUTS[mode]
    unknown = sorted(set(given) - set(inputs))
    if unknown:
        raise BagError(f"no input {unknown[0]!r} in mode {mode} (there are: {', '.join(inputs)})")
    chosen: dict[str, str] = {}
    for name in inputs:
        if name.endswith("image"):
            chosen[name] = _image_topic(name, given.get(name, "/" + name), types)
    for name in inputs:
        if name.endswith("camera_info") and name not in (files or {}):
            image = chosen[name.replace("camera_info", "image")]
            chosen[name] = _info_topic(name, given.get(name), image, types)
    return Topics({name: chosen[name] for name in inputs if name in chosen}, files or {})


def _image_topic(name: str, topic: str, types: Mapping[str, str]) -> str:
    topic = "/" + topic.lstrip("/")
    transport = TRANSPORT if name == DEPTH_INPUT else "compressed"
    for candidate in (topic, f"{topic}/{transport}"):
        if types.get(candidate) in (IMAGE, COMPRESSED_IMAGE):
            return candidate
    raise BagError(f"no images for the input {name} on {topic}{_near(topic, types)}")


def _info_topic(name: str, topic: str | None, image: str, types: Mapping[str, str]) -> str:
    if topic is not None:
        topic = "/" + topic.lstrip("/")
        if types.get(topic) != CAMERA_INFO:
            raise BagError(f"no camera_info for the input {name} on {topic}{_near(topic, types)}")
        return topic
    parts = image.split("/")
    for depth in (1, 2, 3):  # /cam/image, /cam/image_raw/compressed
        candidate = "/".join([*parts[:-depth], "camera_info"])
        if types.get(candidate) == CAMERA_INFO:
            return candidate
    advice = f"give a file as {name.replace('camera_info', 'calibration')}"
    raise BagError(f"no camera_info beside {image} for the input {name}: {advice}; {_offer(types)}")


def _near(topic: str, types: Mapping[str, str]) -> str:
    """The topic that may be meant, and all that there are."""
    useful = [one for one, kind in types.items() if kind in _USEFUL]
    return f"{nearest(topic, useful)}; {_offer(types)}"


def _offer(types: Mapping[str, str]) -> str:
    found = [f"{topic} ({kind.rpartition('/')[2]})" for topic, kind in sorted(types.items())
             if kind in _USEFUL]  # fmt: skip
    return "the bag has " + (", ".join(found) if found else "neither images nor camera_info")
