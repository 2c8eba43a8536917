"""What an active node receives: subscriptions, and the messages of one instant as a set."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rclpy.lifecycle import LifecycleNode

from msga_ros.node.inputs import Inputs
from msga_ros.node.reporting import Reporter
from msga_ros.node.ros_libraries import filters_module
from msga_ros.stream.calibrated_sets import BY_LAST, CalibratedSets
from msga_ros.stream.message_types import Stamped
from msga_ros.stream.node_settings import NodeSettings
from msga_ros.stream.statistics import Snapshot, Statistics


class Reception:
    """Subscribes while the node is active; used in the executor thread alone.

    `topics`: resolved topic of each input. `on_set(messages, epoch)` gets each complete set by
    input name; a set of a later epoch does not go on from those before (new activation, reset, jump
    back in time).
    """

    def __init__(
        self,
        node: LifecycleNode,
        topics: Mapping[str, str],
        statistics: Statistics,
        reporter: Reporter,
        on_set: Callable[[Mapping[str, Stamped], int], None],
    ) -> None:
        self._node = node
        self._topics = topics
        self._statistics = statistics
        self._reporter = reporter
        self._on_set = on_set
        self._inputs: Inputs | None = None
        self._pairing: CalibratedSets | None = None
        self._files: Mapping[str, str] = {}  # that take the place of camera_info, by input
        self._epoch = 0

    @property
    def active(self) -> bool:
        """Whether messages are taken."""
        return self._inputs is not None

    @property
    def topics(self) -> Mapping[str, str]:
        """By input name, the topics that are subscribed to, or will be."""
        return {name: one for name, one in self._topics.items() if name not in self._files}

    @property
    def calibrations(self) -> Mapping[str, str]:
        """By camera_info input, which calibration counts."""
        by_last = frozenset[str]() if self._pairing is None else self._pairing.by_last
        return {
            name: self._files.get(name) or ("the last one" if name in by_last else "of each image")
            for name in self._topics
            if name.endswith("camera_info")
        }

    def start(self, settings: NodeSettings, files: Mapping[str, str]) -> None:
        """Subscribe to all but what comes from `files`, by input name.

        Raises what rclpy raises, for a QoS override that cannot be.
        """
        self._epoch += 1
        self._files = files
        self._statistics.activated(self.topics.values())
        self._pairing = CalibratedSets(
            tuple(self.topics),
            self._on_complete,
            self._on_refused,
            self.jumped_back,
            camera_info=settings["sync.camera_info"],
            say=lambda name: self._reporter.warn(name, f"{self._topics[name]}: {BY_LAST}"),
            queue_size=settings["sync.queue_size"],
            slop=settings["sync.slop"],
            jump_back=settings["sync.jump_back"],
            filters=filters_module(),
        )
        self._inputs = Inputs(
            self._node,
            self.topics,
            settings.transport,
            self._reporter.guarded("message callback", self._on_message),
            self._reporter.complain,
        )

    def stop(self) -> None:
        """Unsubscribe and forget what waits for its partners."""
        if self._inputs is not None:
            self._inputs.close()
        self._inputs = None
        self._pairing = None

    def set_slop(self, slop: float) -> None:
        """Change the largest difference of the stamps of a set, seconds."""
        if self._pairing is not None:
            self._pairing.set_slop(slop)

    def reset(self) -> None:
        """Forget what was received; the next set begins a new epoch."""
        self._epoch += 1
        if self._pairing is not None:
            self._pairing.reset()

    def jumped_back(self, seconds: float) -> None:
        """Time, by the clock or by the stamps, went back by so much."""
        text = f"time jumped back by {seconds:.3f} s: starting again"
        self._reporter.complain("time_jump", self._first_topic, text)
        self.reset()

    def look_for_latched(self, now: Snapshot) -> None:
        """Ask for what a latched camera_info said before we came, where nothing has come yet."""
        if self._inputs is None:
            return
        for name, topic in self.topics.items():
            if name.endswith("camera_info") and not now.received.get(topic):
                self._inputs.ask_for_latched(name)

    def silence(self, now: Snapshot, limit: float) -> str:
        """What is known about inputs that make up no set for `limit` s; "" while they do."""
        if self._inputs is None or now.since_set < limit:
            return ""
        received = {
            name: now.received_since_set.get(topic, 0) for name, topic in self.topics.items()
        }
        newest, standing = {}, {}
        if self._pairing is not None:
            newest, standing = dict(self._pairing.newest), dict(self._pairing.standing)
        return self._inputs.explain_silence(now.since_set, received, newest, standing)

    def _on_message(self, name: str, message: Stamped) -> None:
        self._statistics.received(self._topics[name])
        if self._pairing is not None:
            self._pairing.add(name, message)

    def _on_complete(self, messages: Mapping[str, Stamped]) -> None:
        self._statistics.complete_set()
        self._on_set(messages, self._epoch)

    def _on_refused(self, reason: str) -> None:
        self._statistics.dropped(reason)
        text = f"{self._first_topic}: messages were dropped: {reason}"
        self._reporter.warn(reason, text)

    @property
    def _first_topic(self) -> str:
        return next(iter(self._topics.values()))
