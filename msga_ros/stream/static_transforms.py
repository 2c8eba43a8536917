"""Transforms that do not change, as `/tf_static` has them, and the chain from frame to frame."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msga_ros.foreign_text import shown
from msga_ros.geometry.pose import invert_pose
from msga_ros.geometry.rotations import rotation_from_quaternion

Array = NDArray[np.float64]

# A robot has hundreds of frames at most; a sender of ever new names must not fill memory.
_MOST_FRAMES = 10_000
_MOST_CHARACTERS = 200  # of a name
_LISTED = 8  # frames that an explanation names at most


class StaticTransforms:
    """A tree of frames. Filled and asked by different threads.

    Frame names lose a leading slash, as in tf2. The newest transform of a child holds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parents: dict[str, tuple[str, Array, Array]] = {}  # by child; x_parent = R x + p

    def add(
        self, parent: str, child: str, translation: Sequence[float], quaternion: Sequence[float]
    ) -> str:
        """Take in `x_parent = R x_child + translation`, R of a quaternion x, y, z, w.

        What is wrong with it, or "": a transform that cannot be is not taken.
        """
        parent, child = parent.lstrip("/"), child.lstrip("/")
        name = f"the transform from {_named(child)} to {_named(parent)}"
        position, turn = np.array(translation, float), np.array(quaternion, float)
        if max(len(parent), len(child)) > _MOST_CHARACTERS:
            return f"{name}: names of frames have {_MOST_CHARACTERS} characters at most"
        if not parent or not child or parent == child:
            return f"{name}: two different frames are needed"
        if not (np.isfinite(position).all() and np.isfinite(turn).all()):
            return f"{name} holds NaN or infinity"
        if abs(np.linalg.norm(turn) - 1.0) > 0.01:
            return f"{name}: the quaternion {turn.tolist()} is no rotation"
        with self._lock:
            if child not in self._parents and len(self._parents) >= _MOST_FRAMES:
                return f"{name}: there are {_MOST_FRAMES} frames already"
            self._parents[child] = (parent, rotation_from_quaternion(turn), position)
        return ""

    def add_all(self, transforms: Sequence[Any]) -> Iterator[str]:
        """Take in those of a `tf2_msgs/TFMessage` (of rclpy or of a bag); what is wrong with each
        that cannot be. So many are looked at as a tree holds."""
        for one in transforms[:_MOST_FRAMES]:
            shift, turn = one.transform.translation, one.transform.rotation
            problem = self.add(
                one.header.frame_id,
                one.child_frame_id,
                (shift.x, shift.y, shift.z),
                (turn.x, turn.y, turn.z, turn.w),
            )
            if problem:
                yield problem

    def parent(self, frame: str) -> str:
        """The parent of `frame`; "" where none is known."""
        with self._lock:
            return self._parents.get(frame.lstrip("/"), ("",))[0]

    def lookup(self, target: str, source: str) -> tuple[Array, Array] | None:
        """R (3, 3) and p (3,) of `x_target = R x_source + p`, metres; None where the frames are not
        connected."""
        ups, downs = self._ancestors(source), self._ancestors(target)
        shared = next((frame for frame in ups if frame in downs), None)
        if shared is None:
            return None
        rotation, position = ups[shared]
        back, origin = invert_pose(*downs[shared])
        return back @ rotation, back @ position + origin

    def explain(self, target: str, source: str) -> str:
        """Why `lookup` knows nothing."""
        with self._lock:
            known = {*self._parents, *(parent for parent, _, _ in self._parents.values())}
        if not known:
            return "nothing came on /tf_static"
        roots = []
        for frame in (target, source):
            name = frame.lstrip("/")
            if name not in known:
                listed = ", ".join(sorted(known)[:_LISTED]) + ", ..." * (len(known) > _LISTED)
                return f"there is no frame {_named(name)} on /tf_static (there are {shown(listed)})"
            roots.append(list(self._ancestors(name))[-1])
        return (
            f"on /tf_static {_named(target)} hangs from {_named(roots[0])}, and {_named(source)} "
            f"from {_named(roots[1])}"
        )

    def _ancestors(self, frame: str) -> dict[str, tuple[Array, Array]]:
        """`frame` and those above it, with `x_ancestor = R x_frame + p`; ends where it circles."""
        name = frame.lstrip("/")
        rotation: Array = np.eye(3)
        position: Array = np.zeros(3)
        found = {name: (rotation, position)}
        with self._lock:
            while name in self._parents:
                name, turn, shift = self._parents[name]
                if name in found:
                    break
                rotation, position = turn @ rotation, turn @ position + shift
                found[name] = (rotation, position)
        return found


def _named(frame: str) -> str:
    return shown(repr(frame), 80)
