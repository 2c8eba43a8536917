"""The work on images and requests, in the worker's thread: decoded, given to the map, reported."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msga_ros.geometry.camera import CameraInfo
from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.reports import Location, LoopEdge, Mapper, MapPose, Outcome, Verdict
from msga_ros.odometry.mount import Mount
from msga_ros.odometry.poses import UncertainPose
from msga_ros.stream.cv_bridge_fallback import ImageBridge
from msga_ros.stream.errors import BadInput
from msga_ros.stream.loops.counts import STILL, LoopCounts
from msga_ros.stream.loops.fields import located_pose
from msga_ros.stream.loops.images_with_odometry import ImageWithOdometry
from msga_ros.stream.loops.odometry_buffer import OdometryPose
from msga_ros.stream.loops.settings import LoopSettings
from msga_ros.stream.loops.views import ViewReader
from msga_ros.stream.message_set import stamp_ns
from msga_ros.stream.message_types import Header
from msga_ros.stream.relations import the_image
from msga_ros.stream.request_types import CameraImage
from msga_ros.stream.view_input import image_and_camera

_IMAGE = "image"


class OpenMap(Protocol):
    """The map of a configured node; the file of it is held until `close`."""

    @property
    def mapper(self) -> Mapper:
        """What knows its keyframes."""

    def save(self, path: Path) -> int:
        """Copy the map to a file of this name; how many keyframes. Raises `OSError`."""

    def load(self, path: Path, discard: bool) -> LoadedMap:
        """Go on with another map; where that cannot be, with this one.

        `discard`: this one may be forgotten where no file holds it. Raises `BadInput`.
        """

    @property
    def file(self) -> str:
        """Where it lies; "" where it ends with the node."""

    @property
    def damage(self) -> tuple[str, ...]:
        """What of the file could not be read."""

    def close(self) -> None:
        """Give the file back; all that was accepted lies in it."""


@dataclass(frozen=True)
class LoadedMap:
    """What lies in a map that was loaded; `damage`: what of its file could not be read."""

    keyframes: int
    loops: int
    damage: tuple[str, ...] = ()


class LocateAsked(Protocol):
    """The request of `msga_ros/Locate`."""

    view: CameraImage
    rectified: bool


class SaveAsked(Protocol):
    """The request of `msga_ros/SaveMap`."""

    path: str


class LoadAsked(Protocol):
    """The request of `msga_ros/LoadMap`."""

    path: str
    discard: bool


@dataclass(frozen=True)
class PlacedImage:
    """An image whose camera has its place on the robot, `mount` (None without odometry)."""

    image: ImageWithOdometry
    mount: Mount | None


@dataclass(frozen=True)
class Located:
    """The answer to `~/locate`: `location`, and the `pose` of the camera in the map, if known."""

    header: Header
    location: Location
    pose: UncertainPose | None


@dataclass(frozen=True)
class Processed:
    """What an image did to the map; `header` of it, `camera_frame` and `mount` of its camera."""

    header: Header
    outcome: Outcome
    mount: Mount | None


Complain = Callable[[str, str, str], None]


class LoopSession:
    """The map and what is said of it. `complain(kind, topic, text)`: of what cannot be used.

    `topics`: names of the inputs for that, by input. `calibrations`: by input, what comes from a
    file instead.
    """

    def __init__(
        self,
        opened: OpenMap,
        topics: Mapping[str, str],
        complain: Complain,
        counts: LoopCounts,
        bridge: ImageBridge,
        calibrations: Mapping[str, CameraInfo],
    ) -> None:
        self._opened = opened
        self._topics = topics
        self._complain = complain
        self._counts = counts
        self._bridge = bridge
        self._views = ViewReader(topics, complain, bridge, calibrations)
        self._stamps: dict[int, int] = {}  # ns, by keyframe of this run
        for text in opened.damage:
            complain("map_file", opened.file, text)
        self.count()

    @property
    def edges(self) -> tuple[LoopEdge, ...]:
        """All loops that hold."""
        return self._opened.mapper.edges

    def keyframes(self) -> list[MapPose]:
        """All keyframes of the map, where they are now."""
        return self._opened.mapper.path()

    def stamp(self, keyframe: int, seconds: float) -> int:
        """The stamp (ns) of a keyframe: exact in this run, else as near as `seconds` says."""
        return self._stamps.get(keyframe, round(seconds * 1e6) * 1000)

    @property
    def map_from_odom(self) -> Pose | None:
        """`x_map = R x_odom + t`, None while unknown."""
        return self._opened.mapper.map_from_odom

    def process(self, placed: PlacedImage, settings: LoopSettings) -> Processed | None:
        """Take an image in; None where it shows nothing new. Raises `BadInput`, `OSError`."""
        mapper, given = self._opened.mapper, placed.image
        message = given.messages[_IMAGE]
        for pose in given.trail:
            mapper.due(pose.stamp * 1e-9, camera_pose(pose, placed.mount))
        odometry = None if given.odometry is None else camera_pose(given.odometry, placed.mount)
        taken = stamp_ns(message)
        if not mapper.due(taken * 1e-9, odometry):
            self._counts.image(STILL)
            return None
        outcome = mapper.add(self._views.read(given.messages, odometry, settings))
        self._counts.image(outcome.verdict.value)
        if outcome.keyframe is not None:
            self._stamps[outcome.keyframe] = taken
        self._counts.taken_back(len(outcome.taken_back))
        for note in outcome.notes:
            self._counts.note(note)
            self._complain("map", self._topics[_IMAGE], note)
        if outcome.verdict is Verdict.UNUSABLE:
            text = "too few features for a keyframe: the image cannot be found again"
            self._complain("unusable", self._topics[_IMAGE], text)
        self.count()
        return Processed(message.header, outcome, placed.mount)

    def locate(self, asked: LocateAsked, settings: LoopSettings) -> Generator[None, None, Located]:
        """The steps of a request `~/locate`. Raises `BadInput`."""
        message = the_image(asked.view, "view")
        image, camera = image_and_camera(
            message,
            asked.view.camera_info,
            asked.rectified,
            settings["max_image_pixels"],
            self._bridge,
            "view",
            "view",
        )
        yield
        location = self._opened.mapper.locate(image, camera)
        pose = None
        if location.found and location.edge is not None:
            pose = located_pose(location.edge, self.keyframes())
        return Located(message.header, location, pose)

    def save(self, asked: SaveAsked) -> Generator[None, None, int]:
        """The steps of a request `~/save_map`. Raises `BadInput` for a file that cannot be."""
        yield
        path = _absolute(asked.path)
        try:
            return self._opened.save(path)
        except OSError as error:
            raise BadInput("path", str(error)) from None

    def load(self, asked: LoadAsked) -> Generator[None, None, LoadedMap]:
        """The steps of a request `~/load_map`. Raises `BadInput` and goes on with the same map."""
        yield
        found = self._opened.load(_absolute(asked.path), asked.discard)
        self._stamps = {}
        for text in found.damage:
            self._complain("map_file", asked.path, text)
        self.count()
        return found

    @property
    def file(self) -> str:
        """Where the map lies; "" where it ends with the node."""
        return self._opened.file

    def count(self) -> None:
        """Tell the counts what the map holds."""
        mapper = self._opened.mapper
        known = mapper.map_from_odom is not None
        self._counts.map_is(len(mapper.path()), len(mapper.edges), known)

    def close(self) -> None:
        """Give the map back."""
        self._opened.close()


def _absolute(text: str) -> Path:
    path = Path(text).expanduser()
    if not text or not path.is_absolute():
        raise BadInput("path", f"path must be absolute, not {text!r}")
    return path


def camera_pose(pose: OdometryPose, mount: Mount | None) -> Pose:
    """Odom to camera, of the robot's pose in odom and the camera's place on the robot."""
    in_odom = Pose(pose.rotation, pose.position)
    if mount is not None:
        in_odom = in_odom.after(Pose(mount.rotation, mount.position))
    return in_odom.inverse()
