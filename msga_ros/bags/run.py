"""A bag in, a bag out: the whole run, resumable, with what it counted."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msga_ros
from msga_ros.bags.complaints import Complaints, Warn
from msga_ros.bags.errors import BagError
from msga_ros.bags.journal import Entry, Journal, Message
from msga_ros.bags.outputs import (
    STORAGES,
    OutputOptions,
    odometry,
    put_in_place,
    serialised,
    temporal_pose,
    write_bag,
)
from msga_ros.bags.reading import Bag
from msga_ros.bags.replay import RecordedSet, Replayer, message_sets
from msga_ros.bags.resumable_odometry import ResumableOdometry, stamped
from msga_ros.bags.robot import BagMounts
from msga_ros.bags.state import StateError
from msga_ros.bags.summary import Account, Summary, Tally, summarise
from msga_ros.bags.topics import Topics, choose_topics
from msga_ros.bags.trajectory import write_trajectories
from msga_ros.calibration.base import CalibrationError
from msga_ros.frontend.base import FrontendError
from msga_ros.geometry.camera import CameraError
from msga_ros.network import find_weights
from msga_ros.stream.calibration_files import CalibrationFiles
from msga_ros.stream.feature_matches import NO_FIXED_KEYPOINTS
from msga_ros.stream.processor import Outcome, Pipeline
from msga_ros.stream.robot_settings import RobotSettings
from msga_ros.stream.settings import Settings
from msga_ros.stream.stream_odometry import NO_BASELINE, OdometryResult
from msga_ros.stream.track_ids import with_ids_of_the_odometry

Progress = Callable[[int, int], None]  # messages read, messages in all
_KEEP_EVERY = 25  # sets; so many are done again at most after the power went


@dataclass(frozen=True)
class Request:
    """`topics`: topic by input name, for those that are not the node's own names.

    `storage`: of the new bag, `mcap` or `sqlite3`; empty: that of the old one. `trajectory`: run
    the odometry as well.
    """

    source: Path
    target: Path
    settings: Settings
    topics: Mapping[str, str] = field(default_factory=dict)
    outputs: OutputOptions = field(default_factory=OutputOptions)
    storage: str = ""
    trajectory: bool = True
    overwrite: bool = False


def run(
    request: Request,
    load_pipeline: Callable[[], Pipeline],
    warn: Warn,
    progress: Progress = lambda done, total: None,
) -> Summary:
    """Process `request.source` into `request.target`; see `msga bag --help`.

    What is done lies in `<target>.partial` until the end; the same request goes on from there.
    Raises `BagError`.
    """
    _check_target(request)
    bag = Bag(request.source, warn)
    try:
        calibration = CalibrationFiles.read(request.settings)
    except CalibrationError as error:
        raise BagError(str(error)) from None
    topics = choose_topics(request.settings["mode"], request.topics, bag.types, calibration.sources)
    work = request.target.with_name(request.target.name + ".partial")
    journal = Journal(work, _fingerprint(request, bag, topics, calibration))
    tally, complaints = Tally(), Complaints(warn)
    try:
        mounts = BagMounts(bag, _robot(request), warn)
        done = _Work(request, topics, journal, load_pipeline(), complaints, calibration, mounts)
        total = sum(bag.counts[topic] for topic in topics.by_topic)
        try:
            for one in message_sets(
                bag, topics, request.settings, tally, warn, lambda: progress(tally.read, total)
            ):
                done.process(one)
        finally:
            done.keep_state()
    finally:
        journal.close()
    return _finish(request, bag, topics, journal, done.done, tally, complaints.no_trajectory)


class _Work:
    """Every set of the bag once, each in the journal before the next."""

    def __init__(
        self,
        request: Request,
        topics: Topics,
        journal: Journal,
        pipeline: Pipeline,
        complaints: Complaints,
        calibration: CalibrationFiles,
        mounts: BagMounts,
    ) -> None:
        self._mounts = mounts
        self._request = request
        self._journal = journal
        self._complaints = complaints
        settings = request.settings
        self._replayer = Replayer(pipeline, topics, settings, complaints, calibration.infos)
        self._odometry: ResumableOdometry | None = None
        self._state = (0, b"")  # of the odometry, and after how many sets
        if request.trajectory:
            self._odometry = ResumableOdometry(pipeline, settings["mode"], settings.odometry)
            self._take_up_odometry()
        if journal.last is not None and journal.last["state"].get("followed"):
            complaints("state", "", "points are followed through the whole bag: it begins again")
            journal.cut(0)
        self._done = journal.count
        self._reference: RecordedSet | None = None

    @property
    def done(self) -> int:
        """Sets that an earlier run has done."""
        return self._done

    def process(self, one: RecordedSet) -> None:
        """Relate a set, or take note of it where an earlier run has done so."""
        if one.number >= self._done:
            self._journal.append(self._entry(one))
            if self._odometry is not None and not self._replayer.follows:
                self._state = self._state_of(self._odometry)
                if self._journal.count % _KEEP_EVERY == 0:
                    self.keep_state()
            return
        state = (self._journal.last or {})["state"]
        if one.number == state["reference"]:
            self._reference = one
        if one.number == self._done - 1:
            self._replayer.restore(state, self._reference)
            self._reference = None

    def _state_of(self, odometry: ResumableOdometry) -> tuple[int, bytes]:
        """The sets that are done and the odometry's state after them; (0, b"") if it has none."""
        try:
            return self._journal.count, odometry.state()
        except StateError as error:
            self._complaints("state", "", f"if interrupted, the run begins again: {error}")
            return 0, b""

    def keep_state(self) -> None:
        """Have the odometry on the disk as it was after the last set that is done."""
        count, state = self._state
        if count > 0:
            self._journal.keep_state(count, state)

    def _take_up_odometry(self) -> None:
        """Go back to where the odometry was last written down."""
        assert self._odometry is not None
        count, state = self._journal.kept_state()
        if state:
            try:
                self._odometry.restore(state)
            except StateError as error:
                self._complaints("state", "", f"starting from the beginning: {error}")
                count = 0
        self._journal.cut(count)

    def _entry(self, one: RecordedSet) -> Entry:
        outputs, odometry_result, usable = self._request.outputs, None, False
        try:
            outcome = self._replayer.relate(one)
            usable = self._replayer.usable
            odometry_result = self._update_odometry(one, outcome)
        except (CameraError, FrontendError) as error:
            self._complaints("unusable", "", str(error))
            outcome = None
        header: dict[str, object] = {"state": self._replayer.state(), "status": None, "pose": None}
        header["bad"] = None if usable else self._complaints.last
        messages: tuple[Message, ...] = ()
        if odometry_result is not None:
            metric, mount = self._request.settings.metric, None
            if metric:  # the way to the robot's frame is in metres
                mount = self._mounts.mount(odometry_result.header.frame_id)
            pose = stamped(odometry_result, mount)
            header["pose"] = None if pose is None else pose.as_json(odometry_result.session)
            header["motion"] = odometry_result.update.status.name
            if metric:
                frame = self._request.settings.robot.frame
                messages += (odometry(odometry_result, one.time_ns, outputs, frame, mount),)
                if odometry_result.reference_header is not None:
                    messages += (temporal_pose(odometry_result, one.time_ns, outputs),)
        if outcome is not None:
            if outcome.stereo and odometry_result is not None:
                outcome = with_ids_of_the_odometry(outcome, odometry_result.update)
            header["status"] = outcome.result.status.name
            second = outcome.result.second
            header["second"] = None if second is None else second.stands
            messages += serialised(outcome, one.time_ns, outputs)
        return Entry(header, messages)

    def _update_odometry(self, one: RecordedSet, outcome: Outcome | None) -> OdometryResult | None:
        if self._odometry is None or not self._replayer.views:
            return None
        if not self._replayer.views[0].features.fixed_keypoints:
            self._complaints("odometry", "", f"no trajectory: {NO_FIXED_KEYPOINTS}")
            return None
        if outcome is not None and outcome.stereo and outcome.rig is None:
            self._complaints("odometry", "", f"no trajectory: {NO_BASELINE}")
        return self._odometry.update(self._replayer.views, outcome, one.epoch)


def _finish(
    request: Request,
    bag: Bag,
    topics: Topics,
    journal: Journal,
    resumed: int,
    tally: Tally,
    no_trajectory: str,
) -> Summary:
    """Make bag and trajectories beside the journal, and put them in place whole."""
    made = journal.folder / "bag" / request.target.name
    shutil.rmtree(made.parent, ignore_errors=True)
    made.parent.mkdir(parents=True)
    account = Account()

    def messages() -> Iterator[Message]:
        for entry in journal.entries():
            account.add(entry.header)
            yield from entry.messages

    written = dict(request.outputs.topics)
    if request.trajectory and request.settings.metric:
        written.update(request.outputs.motion_topics)
    write_bag(made, request.storage or _same_storage(bag), written, messages())
    files = write_trajectories(made, account.poses)
    put_in_place(made, request.target)
    shutil.rmtree(journal.folder)
    files = tuple(request.target / path.name for path in files)
    return summarise(account, tally, topics, resumed, files, no_trajectory)


def _same_storage(bag: Bag) -> str:
    """Of the new bag; ROS 1 has none that rosbag2 writes."""
    return bag.storage if bag.storage in STORAGES else "mcap"


def _robot(request: Request) -> RobotSettings | None:
    """The robot's frame, where there is a trajectory in metres to tell in it."""
    return request.settings.robot if request.trajectory and request.settings.metric else None


def _check_target(request: Request) -> None:
    target = request.target
    if not target.name:
        raise BagError(f"{target}: a name for the new bag is needed")
    if target.resolve() == request.source.resolve():
        raise BagError(f"{target}: the new bag cannot take the place of the old one")
    if not target.exists():
        return
    if not request.overwrite:
        raise BagError(f"{target}: exists; give another name, or --overwrite")
    if not (target / "metadata.yaml").is_file():
        raise BagError(f"{target}: exists and is not a bag; it is not overwritten")


def _fingerprint(request: Request, bag: Bag, topics: Topics, calibration: CalibrationFiles) -> str:
    """Of all that decides what is written: another one, and an earlier run is of no use."""
    weights = find_weights(request.settings["network.weights"], request.settings["network.device"])
    described = {
        "version": msga_ros.__version__,
        "files": [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in bag.files],
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "",
        "settings": dict(request.settings.values),
        "topics": dict(topics.by_input),
        "calibrations": {name: asdict(info) for name, info in calibration.infos.items()},
        "outputs": asdict(request.outputs),
        "trajectory": request.trajectory,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
