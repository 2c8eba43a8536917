"""Messages of several topics to complete sets, with guards around `message_filters`.

The guards hold for the original and the stand-in alike: `slop = 0` means the exact
synchroniser, because the original's approximate one compares with a strict `<`; the callback never
raises, because the original would stay locked; the filters are built again after a jump back in
time, because the original's approximate one can stay silent after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType

from msga_ros.stream import message_filters_fallback
from msga_ros.stream.message_set import stamp_ns
from msga_ros.stream.message_types import Stamped

# So many messages in a row that are older than the newest: time has moved back.
_OLDER_IN_A_ROW = 3
# So many messages with the stamp of the one before, of a topic whose stamps have moved.
_EQUAL_IN_A_ROW = 2


class StandingStamps:
    """Notices stamps that stand still: they never advanced, or have not for three messages."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._equal = 0  # messages before the last one that had its stamp
        self._advanced = False

    def add(self, stamp: int) -> None:
        """Of the next message, ns."""
        same = stamp == self._last
        self._advanced = self._advanced or (self._last is not None and not same)
        self._equal = self._equal + 1 if same else 0
        self._last = stamp

    @property
    def stamp(self) -> int | None:
        """Where they stand, ns; None where they move, and before the second message."""
        stands = self._equal >= (_EQUAL_IN_A_ROW if self._advanced else 1)
        return self._last if stands else None


class Pairing:
    """Collects one message of each input into sets of one instant.

    `on_set` gets a mapping of input name to message, in increasing time. `on_drop` gets a reason:
    `duplicate` or `out_of_order` for a set, `negative_stamp` for a message. `on_jump_back` gets the
    seconds that time went back. A single older message is late, not a jump; a jump is more than
    `jump_back` seconds, or several older messages in a row.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        on_set: Callable[[Mapping[str, Stamped]], None],
        on_drop: Callable[[str], None],
        on_jump_back: Callable[[float], None],
        queue_size: int = 10,
        slop: float = 0.0,
        jump_back: float = 0.5,
        filters: ModuleType = message_filters_fallback,
    ) -> None:
        self._names = names
        self._on_set = on_set
        self._on_drop = on_drop
        self._on_jump_back = on_jump_back
        self._queue_size = queue_size
        self._slop = slop
        self._jump_back_ns = round(jump_back * 1e9)
        self._filters = filters
        self.reset()

    def reset(self) -> None:
        """Forget everything that was received."""
        self._heads = {name: self._filters.SimpleFilter() for name in self._names}
        heads = list(self._heads.values())
        if self._slop > 0 and len(heads) > 1:
            chain = self._filters.ApproximateTimeSynchronizer(heads, self._queue_size, self._slop)
        else:
            chain = self._filters.TimeSynchronizer(heads, self._queue_size)
        self._completed: list[tuple[Stamped, ...]] = []
        completed = self._completed
        chain.registerCallback(lambda *messages: completed.append(messages))
        self._chain = chain
        self._newest: dict[str, int] = {}
        self._standing = {name: StandingStamps() for name in self._names}
        self._older = dict.fromkeys(self._names, 0)
        self._last_set: int | None = None

    def set_slop(self, slop: float) -> None:
        """Change the tolerance; what waits for its partner is forgotten."""
        if slop != self._slop:
            self._slop = slop
            self.reset()

    def add(self, name: str, message: Stamped) -> None:
        """Take a message of the input `name`; signals the sets that it completes."""
        stamp = stamp_ns(message)
        self._standing[name].add(stamp)
        if stamp < 0:  # the original would raise, and stay locked
            self._on_drop("negative_stamp")
            return
        back = self._went_back(name, stamp)
        if back is not None:
            self.reset()
            self._on_jump_back(back * 1e-9)
        self._newest[name] = max(stamp, self._newest.get(name, stamp))
        self._heads[name].signalMessage(message)
        # Only now, outside the lock of the synchroniser.
        while self._completed:
            self._signal(self._completed.pop(0))

    @property
    def newest(self) -> Mapping[str, int]:
        """The newest stamp of each input that has one, ns."""
        return self._newest

    @property
    def standing(self) -> Mapping[str, int]:
        """The stamp of each input whose stamps stand still, ns."""
        found = {name: one.stamp for name, one in self._standing.items()}
        return {name: stamp for name, stamp in found.items() if stamp is not None}

    def _signal(self, messages: tuple[Stamped, ...]) -> None:
        stamp = stamp_ns(messages[0])
        if self._last_set is not None and stamp <= self._last_set:
            self._on_drop("duplicate" if stamp == self._last_set else "out_of_order")
            return
        self._last_set = stamp
        self._on_set(dict(zip(self._names, messages, strict=True)))

    def _went_back(self, name: str, stamp: int) -> int | None:
        newest = self._newest.get(name)
        if newest is None or stamp >= newest:
            self._older[name] = 0
            return None
        self._older[name] += 1
        if newest - stamp > self._jump_back_ns or self._older[name] >= _OLDER_IN_A_ROW:
            return newest - stamp
        return None
