"""A map of keyframes that knows its loops: views in, verified loops and corrected poses out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.acceptance import Acceptance
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.corrected_poses import CorrectedPoses
from msga_ros.loops.depths import from_depth_image, from_stereo
from msga_ros.loops.drift import OdometryChain
from msga_ros.loops.keyframe import Keyframe
from msga_ros.loops.location import locate
from msga_ros.loops.motion_watch import MotionWatch
from msga_ros.loops.places import Describes, Places, check_kept
from msga_ros.loops.proposals import Proposals
from msga_ros.loops.reports import Location, LoopEdge, MapPose, Outcome, Verdict, View
from msga_ros.loops.resumable import State, edge_texts, edges_of, pose_table, poses_of
from msga_ros.loops.store import KeyframeStore, StoreError
from msga_ros.loops.verification import Pipeline, Verifier
from msga_ros.odometry.poses import UncertainPose

_FEWEST_FEATURES = 20  # of a keyframe: with fewer no loop could be told
_SAME_VIEW = 0.02  # share of the image's width by which the median match moves, at most


class LoopMapper:
    """Keyframes, loops and poses of a store, which goes on where an earlier run has ended.

    One thread at a time. Implements `msga_ros.loops.reports.Mapper`.
    """

    def __init__(
        self,
        store: KeyframeStore,
        pipeline: Pipeline,
        places: Places | Describes,
        config: LoopConfig | None = None,
    ) -> None:
        """`places`: what tells them apart, or its vocabulary alone: that of the pipeline, SIFT.

        Raises `MissingGtsam` where `config.optimise` asks for what is not installed; `StoreError`
        where `store` holds features of another front end or vocabulary.
        """
        self._store = store
        self._pipeline = pipeline
        self._places = places if isinstance(places, Places) else Places(places)
        vocabulary = self._places.vocabulary
        store.check_kind(self._places.verified_by, vocabulary.length, vocabulary.identity)
        self._config = config = config or LoopConfig()
        self._chain = OdometryChain(config)
        for odometry, segment in store.odometry:
            self._chain.append(odometry, segment)
        first_segment = 1 + max(self._chain.segments, default=-1)
        self._watch = MotionWatch(config, first_segment)
        self._session: int | None = None  # of the odometry of the last view
        self._verifier = Verifier(store, pipeline, self._chain, config)
        self._proposals = Proposals(store, config)
        self._acceptance = Acceptance(self._chain, config)
        self._poses = CorrectedPoses(self._chain, config.optimise)
        self._unsaved: list[tuple[LoopEdge, bool]] = []  # a full disk did not take them
        self._edges = list(store.edges)
        self._poses.update(self._edges)

    @property
    def edges(self) -> tuple[LoopEdge, ...]:
        """All loops that hold, in the order in which they were accepted."""
        return tuple(self._edges)

    @property
    def map_from_odom(self) -> Pose | None:
        """See `Mapper`."""
        return self._poses.map_from_odom(self._watch.segment)

    def path(self) -> list[MapPose]:
        """All keyframes, in the order in which they were added."""
        stamps = self._store.stamps
        return [
            MapPose(number, float(stamps[number]), pose)
            for number, pose in enumerate(self._poses.poses)
        ]

    def steps(self) -> list[tuple[int, int, UncertainPose]]:
        """The odometry from each keyframe to the next: both numbers, and the pose of the later
        camera in the earlier one, with the drift that the settings give it."""
        found = []
        for number in range(len(self._chain)):
            before = self._chain.previous(number)
            step = None if before is None else self._chain.between(before, number)
            if before is not None and step is not None:
                found.append((before, number, step))
        return found

    def odometry(self) -> list[Pose | None]:
        """Of all keyframes, odom to camera, as they were added."""
        return list(self._chain.poses)

    def due(self, stamp: float, odometry: Pose | None) -> bool:
        """See `Mapper`."""
        self._watch.observe(stamp, odometry)
        return self._watch.due()

    def add(self, view: View) -> Outcome:
        """See `Mapper`. Raises `OSError`, `FrontendError`, `VocabularyError`, `CameraError`."""
        if view.odometry is not None and view.session != self._session:
            if self._session is not None:
                self._watch.restart()
            self._session = view.session
        if not self.due(view.stamp, view.odometry):
            return Outcome(Verdict.STILL, None, notes=self._notes())
        keyframe = self._keyframe(view)
        if len(keyframe.features) < _FEWEST_FEATURES:
            return Outcome(Verdict.UNUSABLE, None, notes=self._notes())
        if keyframe.odometry is None and self._shows_the_same(keyframe):
            return Outcome(Verdict.STILL, None, notes=self._notes())
        number = self._store.add(keyframe)
        self._chain.append(keyframe.odometry, keyframe.segment)
        self._poses.append()
        self._watch.kept(keyframe.odometry)
        candidates = self._proposals.of(keyframe.descriptor, keyframe.segment, self._watch.elapsed)
        self._proposals.append(self._watch.elapsed)
        found = (self._verifier.edge(one, keyframe, number) for one in candidates)
        accepted = self._acceptance.take((one for one in found if one is not None), self._edges)
        for edge in self._acceptance.excluded[:1]:
            self._watch.note(
                f"keyframe {number} shows what keyframe {edge.reference} shows ({edge.inliers} "
                "matches), where it cannot be by the odometry: no loop; two places look alike, or "
                "the odometry drifts by more than loops.drift_distance and drift_angle allow"
            )
        self._edges += accepted
        taken_back: tuple[LoopEdge, ...] = ()
        if accepted:
            taken_back = self._poses.update(self._edges)
            self._edges = [edge for edge in self._edges if edge not in taken_back]
        moved = bool(accepted) and self._poses.moved
        kept = tuple(edge for edge in accepted if edge not in taken_back)
        earlier = tuple(edge for edge in taken_back if edge not in accepted)
        self._save(kept, earlier)
        return Outcome(Verdict.KEYFRAME, number, kept, earlier, self._notes(), moved)

    def locate(self, image: NDArray[np.uint8], camera: Camera) -> Location:
        """See `Mapper`. Raises `FrontendError`, `VocabularyError`, `CameraError`."""
        features = self._pipeline.extract(image)
        descriptor = self._places.describe(image, features)
        view = Keyframe("", 0.0, camera, features, descriptor)
        candidates = self._proposals.of(descriptor, None, 0.0)
        found = (self._verifier.edge(one, view) for one in candidates)
        edges = (edge for edge in found if edge is not None)
        return locate(edges, self._poses.poses, self._config)

    def _keyframe(self, view: View) -> Keyframe:
        features = self._pipeline.extract(view.image)
        check_kept(features, self._places.verified_by)
        made = Keyframe(
            view.name,
            view.stamp,
            view.camera,
            features,
            self._places.describe(view.image, features),
            self._watch.usable(view.odometry),
            self._watch.segment,
            frontend=self._places.verified_by,
            vocabulary=self._places.vocabulary.identity,
        )
        depth = None
        if view.depth is not None:
            depth = from_depth_image(view.depth, features.keypoints)
        elif view.right is not None:
            right = view.right
            other = Keyframe("", view.stamp, right.camera, self._pipeline.extract(right.image),
                             made.descriptor)  # fmt: skip
            result = self._verifier.relate(made, other)
            points = right.camera.normalize(result.keypoints1)
            back = right.pose.inverse()
            rig = UncertainPose.exact(back.rotation, back.translation)
            depth = from_stereo(made, result, points, rig)
        return made if depth is None else replace(made, inverse_depth=depth.astype(np.float32))

    def _shows_the_same(self, keyframe: Keyframe) -> bool:
        """Without odometry the image tells whether the camera stood still."""
        last = len(self._store) - 1
        if last < 0 or self._chain.segments[last] != keyframe.segment:
            return False
        result = self._verifier.relate(self._store[last], keyframe)
        if result.counts.geometric_inliers < self._config.min_inliers:
            return False
        rows = result.inlier
        moved = np.linalg.norm(result.keypoints1[rows] - result.keypoints0[rows], axis=1)
        return bool(np.median(moved) < _SAME_VIEW * keyframe.features.image_size[0])

    def state_dict(self) -> State:
        """What the next view depends on beside the store, for `load_state_dict` of a mapper over
        the same records. Plain values and arrays.

        Raises `StoreError` while a loop is not on the disk (`flush`)."""
        if self._unsaved:
            raise StoreError(f"{len(self._unsaved)} loops are not on the disk")
        return {
            "session": self._session,
            "watch": self._watch.state_dict(),
            "elapsed": self._proposals.elapsed,
            "waiting": edge_texts(self._acceptance.waiting),
            "poses": pose_table(self._poses.poses),
            "verifier": self._verifier.state_dict(),
        }

    def load_state_dict(self, state: Any) -> None:
        """Go on as if the views before had been given to this mapper. Raises `KeyError`,
        `TypeError`, `ValueError` for what is no such state."""
        if len(state["elapsed"]) != len(self._store) or len(state["poses"]) != len(self._store):
            raise ValueError("the state of a map with another number of keyframes")
        self._session = state["session"]
        self._watch.load_state_dict(state["watch"])
        self._proposals.take_up(state["elapsed"])
        self._acceptance.take_up(edges_of(state["waiting"]))
        self._poses.poses = poses_of(state["poses"])
        self._verifier.load_state_dict(state["verifier"])

    def flush(self) -> int:
        """Try again to write what a full disk did not take; how many loops are not on the disk."""
        self._save((), ())
        return len(self._unsaved)

    def _save(self, accepted: tuple[LoopEdge, ...], taken_back: tuple[LoopEdge, ...]) -> None:
        """Write the loops; what a full disk does not take is tried again with the next keyframe."""
        self._unsaved += [(edge, True) for edge in accepted]
        self._unsaved += [(edge, False) for edge in taken_back]
        while self._unsaved:
            edge, holds = self._unsaved[0]
            try:
                self._store.accept(edge) if holds else self._store.take_back(edge)
            except OSError as error:
                self._watch.note(
                    f"{len(self._unsaved)} loops are not on the disk yet and will be tried again: "
                    f"{error}"
                )
                return
            del self._unsaved[0]

    def _notes(self) -> tuple[str, ...]:
        return self._watch.take_notes()
