"""Sets of images with the calibration that belongs to each, however often that is published.

A `camera_info` of the image's own stamp belongs to it. Cameras that send one once, or more slowly
than their images, mean the last one: it takes the place of one that does not come.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType

from msga_ros.stream import message_filters_fallback
from msga_ros.stream.message_set import stamp_ns
from msga_ros.stream.message_types import Stamped
from msga_ros.stream.pairing import Pairing, StandingStamps

AUTO, EQUAL, LAST = CAMERA_INFO_CHOICES = ("auto", "equal", "last")

BY_LAST = "camera_info does not come with each image: the last one counts (sync.camera_info)"

_PATIENCE = 3  # sets of images that wait for one of their own stamp before the last one counts
_LATE_IN_A_ROW = 3  # so many that came after their image: they do come with each

Set = Mapping[str, Stamped]


@dataclass
class _Infos:
    """What came on a camera_info topic.

    `waits`: one of the image's own stamp is expected. `newest`: stamp of the last one, None where
    time has jumped since. `replaced`: stamps of images that got another one, the last of them
    `by_last`; `late`: how many of those in a row came after their image, the last one `missing`
    still.
    """

    waits: bool
    recent: OrderedDict[int, Stamped] = field(default_factory=OrderedDict)
    last: Stamped | None = None
    newest: int | None = None
    replaced: deque[int] = field(default_factory=lambda: deque(maxlen=_LATE_IN_A_ROW))
    late: int = 0
    missing: bool = False
    by_last: bool = False
    said: bool = False
    standing: StandingStamps = field(default_factory=StandingStamps)


class CalibratedSets:
    """Collects one message of each input into sets, as `Pairing` does.

    `camera_info`: `equal`, only those with the stamps of the images (within `slop`); `last`, the
    last one received; `auto`, equal stamps where they come, the last one otherwise. `say(name)`
    is called once for each input of which the last one counts. `on_drop` gets `no_camera_info`,
    too, for images that waited in vain for a first one. What is received of camera_info outlives a
    reset: one that is published once does not come again.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        on_set: Callable[[Set], None],
        on_drop: Callable[[str], None],
        on_jump_back: Callable[[float], None],
        *,
        camera_info: str = AUTO,
        say: Callable[[str], None] = lambda name: None,
        queue_size: int = 10,
        slop: float = 0.0,
        jump_back: float = 0.5,
        filters: ModuleType = message_filters_fallback,
    ) -> None:
        self._names = names
        self._on_set = on_set
        self._on_drop = on_drop
        self._on_jump_back = on_jump_back
        self._say = say
        self._automatic = camera_info == AUTO
        self._queue_size = queue_size
        self._slop_ns = round(slop * 1e9)
        self._infos = {
            name: _Infos(waits=self._automatic)
            for name in names
            if name.endswith("camera_info") and camera_info != EQUAL
        }
        self._pending: deque[Set] = deque()
        self._pairing = Pairing(
            tuple(name for name in names if name not in self._infos),
            self._on_images,
            on_drop,
            self._jumped_back,
            queue_size=queue_size,
            slop=slop,
            jump_back=jump_back,
            filters=filters,
        )

    def reset(self) -> None:
        """Forget the images that were received."""
        self._pairing.reset()
        self._pending.clear()
        self._forget_time()

    def set_slop(self, slop: float) -> None:
        """Change the tolerance, seconds; what waits for its partner is forgotten."""
        if round(slop * 1e9) != self._slop_ns:
            self._slop_ns = round(slop * 1e9)
            self._pending.clear()
        self._pairing.set_slop(slop)

    def add(self, name: str, message: Stamped) -> None:
        """Take a message of the input `name`; signals the sets that it completes."""
        if name in self._infos:
            self._on_camera_info(name, message)
        else:
            self._pairing.add(name, message)

    def finish(self) -> None:
        """Nothing more will come: what waits goes with the last camera_info, or is dropped."""
        for infos in self._infos.values():
            infos.waits = False
        self._signal()
        self._drop_waiting()

    @property
    def newest(self) -> Mapping[str, int]:
        """The newest stamp of each input that has one, ns."""
        infos = {name: one.last for name, one in self._infos.items()}
        stamps = {name: stamp_ns(last) for name, last in infos.items() if last is not None}
        return {**self._pairing.newest, **stamps}

    @property
    def standing(self) -> Mapping[str, int]:
        """Of the inputs whose stamps stand still, where, ns.

        A camera_info is among them where its images are: by itself it may stand.
        """
        found = dict(self._pairing.standing)
        for name, infos in self._infos.items():
            if infos.standing.stamp is not None and _image_of(name) in found:
                found[name] = infos.standing.stamp
        return found

    @property
    def paired(self) -> tuple[str, ...]:
        """The inputs that are refused together where a set is refused."""
        return tuple(name for name in self._names if name not in self._infos)

    @property
    def by_last(self) -> frozenset[str]:
        """The inputs whose last camera_info stood for that of the last image."""
        return frozenset(name for name, one in self._infos.items() if one.by_last)

    def _jumped_back(self, seconds: float) -> None:
        self._drop_waiting()
        self._forget_time()
        self._on_jump_back(seconds)

    def _forget_time(self) -> None:
        for infos in self._infos.values():
            infos.newest = None

    def _drop_waiting(self) -> None:
        while self._pending:
            self._pending.popleft()
            self._on_drop("no_camera_info")

    def _on_images(self, images: Set) -> None:
        self._pending.append(images)
        patience = min(_PATIENCE, self._queue_size)
        if len(self._pending) >= patience:
            for name, infos in self._infos.items():
                if infos.last is not None and self._own(name, self._pending[0]) is None:
                    infos.waits, infos.late = False, 0
        self._signal()
        if len(self._pending) > self._queue_size:
            self._pending.popleft()
            self._on_drop("no_camera_info")

    def _on_camera_info(self, name: str, message: Stamped) -> None:
        infos, stamp = self._infos[name], stamp_ns(message)
        infos.last, infos.newest = message, stamp
        infos.standing.add(stamp)
        infos.recent[stamp] = message
        while len(infos.recent) > self._queue_size:
            infos.recent.popitem(last=False)
        if stamp in infos.replaced and self._automatic:
            infos.late, infos.missing = infos.late + 1, False
            if infos.late >= _LATE_IN_A_ROW:
                infos.waits, infos.late = True, 0
        self._signal()

    def _signal(self) -> None:
        """Hand on the sets whose calibrations are there, in order."""
        while self._pending:
            images = self._pending[0]
            chosen = {name: self._choose(name, images) for name in self._infos}
            found = {name: one for name, one in chosen.items() if one is not None}
            if len(found) < len(chosen):
                return
            self._pending.popleft()
            for name, one in found.items():
                self._note(name, stamp_ns(one), stamp_ns(images[_image_of(name)]))
            together = {**images, **found}
            self._on_set({name: together[name] for name in self._names})

    def _note(self, name: str, own: int, stamp: int) -> None:
        """An image of `stamp` goes with the camera_info of the stamp `own`."""
        infos = self._infos[name]
        infos.by_last = abs(own - stamp) > self._slop_ns
        if infos.by_last:
            infos.replaced.append(stamp)
            infos.late = 0 if infos.missing else infos.late
            infos.missing = True
            if self._automatic and not infos.said:
                infos.said = True
                self._say(name)

    def _choose(self, name: str, images: Set) -> Stamped | None:
        own = self._own(name, images)
        infos, stamp = self._infos[name], stamp_ns(images[_image_of(name)])
        # They come in order: where a newer one is there, the image's own does not come.
        passed = infos.newest is not None and infos.newest > stamp + self._slop_ns
        return infos.last if own is None and (passed or not infos.waits) else own

    def _own(self, name: str, images: Set) -> Stamped | None:
        """The camera_info of the image's own stamp, or the nearest one within `slop`."""
        infos, stamp = self._infos[name], stamp_ns(images[_image_of(name)])
        if stamp in infos.recent or not self._slop_ns:
            return infos.recent.get(stamp)
        nearest = min(infos.recent, key=lambda one: abs(one - stamp), default=None)
        if nearest is None or abs(nearest - stamp) > self._slop_ns:
            return None
        return infos.recent[nearest]


def _image_of(name: str) -> str:
    return name.removesuffix("camera_info") + "image"
