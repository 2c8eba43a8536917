"""The node's logic on the messages of a bag, one complete set after another, none dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msga_ros.bags.reading import Bag
from msga_ros.bags.summary import Tally
from msga_ros.bags.topics import Topics
from msga_ros.bags.types import typestore
from msga_ros.geometry.camera import CameraInfo
from msga_ros.stream import message_filters_fallback
from msga_ros.stream.calibrated_sets import BY_LAST, CalibratedSets
from msga_ros.stream.cv_bridge_fallback import CvBridge
from msga_ros.stream.message_set import MessageSet, stamp_ns
from msga_ros.stream.message_types import Stamped
from msga_ros.stream.processor import Extract, Outcome, Pipeline, PreparedImage, Processor
from msga_ros.stream.reference_view import View
from msga_ros.stream.settings import Settings
from msga_ros.stream.track_ids import TrackIds

_SHOWN = 3  # unreadable messages that are reported one by one; the others are only counted


@dataclass(frozen=True)
class RecordedSet:
    """A complete set of messages; `number` counts from 0, `time_ns` is when the bag had it."""

    number: int
    messages: Mapping[str, Stamped]
    time_ns: int
    epoch: int

    @property
    def message_set(self) -> MessageSet:
        """The set as the processor takes it."""
        return MessageSet(self.messages, arrived=0.0, epoch=self.epoch)


def message_sets(
    bag: Bag,
    topics: Topics,
    settings: Settings,
    tally: Tally,
    warn: Callable[[str], None],
    on_read: Callable[[], None] = lambda: None,
) -> Iterator[RecordedSet]:
    """Complete sets in the order in which a node would have seen them.

    A jump back in time (a bag that was recorded from a loop) begins a new epoch. A message that
    cannot be read is left out and counted.
    """
    store, by_topic = typestore(), topics.by_topic
    complete: list[Mapping[str, Stamped]] = []

    def jumped(seconds: float) -> None:
        tally.jumps += 1
        warn(f"time jumps back by {seconds:.3f} s: starting again from there")

    def dropped(reason: str) -> None:
        tally.dropped += 1
        # A message is refused alone, all others with their set.
        paired = {topics.by_input[name]: None for name in pairing.paired}
        of = [raw.topic] if reason == "negative_stamp" else list(paired)
        tally.refused.update((topic, reason.replace("_", " ")) for topic in of)

    def say(name: str) -> None:
        warn(f"{topics.by_input[name]}: {BY_LAST}")

    pairing = CalibratedSets(
        topics.names,
        complete.append,
        dropped,
        jumped,
        camera_info=settings["sync.camera_info"],
        say=say,
        queue_size=settings["sync.queue_size"],
        slop=settings["sync.slop"],
        jump_back=settings["sync.jump_back"],
        filters=message_filters_fallback,
    )
    newest_ns = 0
    for raw in bag.messages(by_topic):
        tally.read += 1
        tally.received[raw.topic] += 1
        on_read()
        try:
            message = store.deserialize_cdr(raw.data, raw.kind)
        except Exception as error:  # whatever the bytes make of the decoder
            tally.broken += 1
            tally.unreadable[raw.topic] += 1
            if tally.broken <= _SHOWN:
                warn(f"{raw.topic}: a message that cannot be read ({type(error).__name__})")
            continue
        for name in by_topic[raw.topic]:
            pairing.add(name, message)
            tally.newest[name] = max(stamp_ns(message), tally.newest.get(name, 0))
        tally.standing = dict(pairing.standing)
        while complete:
            yield RecordedSet(tally.sets, complete.pop(0), raw.time_ns, tally.jumps)
            tally.sets += 1
        newest_ns = raw.time_ns
    pairing.finish()
    for messages in complete:
        yield RecordedSet(tally.sets, messages, newest_ns, tally.jumps)
        tally.sets += 1


class Replayer(Processor):
    """The node's processor, whose state can be written down and taken up again.

    The state names the set that the reference view is from; `restore` gets that set again and
    extracts its features again, which gives the same ones.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        topics: Topics,
        settings: Settings,
        complain: Callable[[str, str, str], None],
        calibrations: Mapping[str, CameraInfo] | None = None,
    ) -> None:
        super().__init__(pipeline, topics.sources, complain, CvBridge(), calibrations)
        self._settings = settings
        self._track_ids = TrackIds()
        self._numbers: dict[int, int] = {}  # id of a view to the number of its set
        self.views: list[View] = []  # of the last set
        self.usable = True  # the last set was

    def relate(self, one: RecordedSet) -> Outcome | None:
        """The outcome of a set; `views` are then its own."""
        self.views = []
        processed = self.process(one.message_set, self._settings)
        self.usable, outcome = processed.usable, processed.outcome
        if outcome is not None and not outcome.stereo:
            outcome = self._track_ids.follow(outcome)
        reference = self._reference
        if reference is not None and id(reference) not in self._numbers:
            self._numbers = {id(reference): one.number}
        return outcome

    def _view(self, prepared: PreparedImage, settings: Settings, extract: Extract) -> View:
        view = super()._view(prepared, settings, extract)
        self.views.append(view)
        return view

    @property
    def reference_set(self) -> int | None:
        """Number of the set that the reference view is from; None without one."""
        return None if self._reference is None else self._numbers[id(self._reference)]

    @property
    def follows(self) -> bool:
        """Whether the front end follows points: then a set depends on all those before it."""
        return self._latest is not None and self._latest.features.ids is not None

    def state(self) -> dict[str, object]:
        """All that the next set depends on, but for the reference view's image itself."""
        tracks = {} if self._reference is None else self._reference.tracks
        return {
            "epoch": self._epoch,
            "reference": self.reference_set,
            "tracks": [[index, track] for index, track in tracks.items()],
            "next_track": self._track_ids.next_id,
            "followed": self.follows,
        }

    def restore(self, state: Mapping[str, Any], reference: RecordedSet | None) -> None:
        """Go on from `state`; `reference` is the set that it names."""
        self._epoch = state["epoch"]
        self._track_ids.next_id = state["next_track"]
        if reference is None:
            return
        view = self._only_view(reference.message_set, self._settings)
        view.tracks = dict(state["tracks"])
        self._reference = view
        self._numbers = {id(view): reference.number}
