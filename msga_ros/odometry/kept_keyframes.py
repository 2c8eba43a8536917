"""Former keyframes, against which a camera that comes back is measured again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.odometry.chain import ChainState, PoseChain
from msga_ros.odometry.matches import MatchesLike
from msga_ros.odometry.observations import TwoFrameSolution
from msga_ros.odometry.poses import UncertainPose

Array = NDArray[np.float64]

_CLEARLY_MORE = 1.3  # times the points that the newest keyframe has in common with the view


class MetricFrame(Protocol):
    """A frame of which some points are known in metres; arrays by the index of the feature.

    `left` (N, 2): normalised coordinates in the (left) camera; `inverse_depth` (N,) 1/m, NaN where
    unknown; `with_depth`: the features for which it is known.
    """

    stamp: float
    features: Features
    camera: Camera
    left: Array
    inverse_depth: Array
    tracks: dict[int, int]

    @property
    def with_depth(self) -> NDArray[np.int64]: ...


Frame = TypeVar("Frame", bound=MetricFrame)


@dataclass(frozen=True)
class Measurement:
    """What the matches of a keyframe with a frame tell.

    `features0`, `features1` (K,): the features of both in the `rows` (K,) of `matches` that were
    used. `solution`: None where they tell no motion; `scaled`: whether its length was measured.
    """

    matches: MatchesLike
    rows: NDArray[np.int64]
    features0: NDArray[np.int64]
    features1: NDArray[np.int64]
    solution: TwoFrameSolution | None
    scaled: bool

    @property
    def count(self) -> int:
        """Points that agree with a motion in metres; 0 without one."""
        return int(self.solution.inlier.sum()) if self.solution is not None and self.scaled else 0


class KeptState(TypedDict):
    """What is kept of a keyframe, for `load_state_dict`."""

    frame: object
    chain: ChainState
    seen_at_first: int


@dataclass(frozen=True)
class KeptKeyframe(Generic[Frame]):
    """A keyframe, the chain that ends in it, and how many of its points were seen at first."""

    frame: Frame
    chain: ChainState
    seen_at_first: int

    def chain_from_here(self) -> PoseChain:
        """A chain whose reference this keyframe is."""
        chain = PoseChain()
        chain.load_state_dict(self.chain)
        return chain

    def share_in_view(self, pose: UncertainPose) -> float:
        """Share of the points with a depth that a camera at `pose` has in its image, 0..1."""
        frame, here = self.frame, self.chain["reference"]
        known = frame.with_depth
        if len(known) == 0:
            return 0.0
        rays = np.column_stack([frame.left[known], np.ones(len(known))])
        points = rays / frame.inverse_depth[known, None] @ here.rotation.T + here.position
        seen = (points - pose.position) @ pose.rotation
        seen = seen[seen[:, 2] > 0]
        pixels = frame.camera.project(seen[:, :2] / seen[:, 2:])
        inside = ((pixels >= 0) & (pixels < frame.features.image_size)).all(1)
        return float(inside.sum() / len(known))


class KeptKeyframes(Generic[Frame]):
    """The `most` keyframes that were left last, the latest at the end.

    Front ends that follow points are left out: without an id in common, views are matched by the
    descriptors of a few hundred corners, and too few of these are the same.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[KeptKeyframe[Frame]] = []

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def stamps(self) -> list[float]:
        """Of the keyframes, seconds."""
        return [one.frame.stamp for one in self._kept]

    def state_dict(self) -> list[KeptState]:
        """What `load_state_dict` takes."""
        return [
            {"frame": one.frame, "chain": one.chain, "seen_at_first": one.seen_at_first}
            for one in self._kept
        ]

    def load_state_dict(self, state: list[KeptState]) -> None:
        """Go on from the state of another one."""
        self._kept = [KeptKeyframe(**one) for one in state]  # type: ignore[arg-type]

    def keep(self, keyframe: KeptKeyframe[Frame]) -> None:
        """Keep a keyframe that is left; the one that was left longest ago may go."""
        if self._most and keyframe.frame.features.ids is None:
            self._kept = [*self._kept, keyframe][-self._most :]

    def take(self, keyframe: KeptKeyframe[Frame]) -> None:
        """Give up a keyframe that is the reference again."""
        self._kept = [one for one in self._kept if one is not keyframe]

    def nearest(
        self, pose: UncertainPose, newest: KeptKeyframe[Frame]
    ) -> KeptKeyframe[Frame] | None:
        """The keyframe of which a camera at `pose` sees most; None where that is the `newest`.

        On the way ahead, it is: nothing is matched in vain.
        """
        best, most = None, newest.share_in_view(pose) if self._kept else 0.0
        for one in self._kept:
            share = one.share_in_view(pose)
            if share > most:
                best, most = one, share
        return best


def sees_better(again: Measurement, newest: Measurement, fewest: int) -> bool:
    """Whether a kept keyframe has clearly more points in common with a view than the newest, and
    at least `fewest`: few that are seen from far aside make a bad measurement."""
    return again.count >= max(fewest, _CLEARLY_MORE * newest.count, 1)


def more_certain(pose: UncertainPose, than: UncertainPose) -> bool:
    """Whether the covariance of `pose` fills less volume."""
    return bool(np.linalg.slogdet(pose.covariance)[1] < np.linalg.slogdet(than.covariance)[1])
