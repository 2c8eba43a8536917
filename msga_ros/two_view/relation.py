"""One call of the pipeline: features or matches of two views through sieve and solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from msga_ros.frontend.base import Features, Matches
from msga_ros.frontend.matchers.nearest import NearestMatcher
from msga_ros.geometry.camera import Camera, CameraError
from msga_ros.two_view.chosen_stages import MatchedFrontend
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.continuation import Continuation
from msga_ros.two_view.motion import motion_status, unknown_motion
from msga_ros.two_view.relative_pose import estimate_motion, unsought_motion
from msga_ros.two_view.result import Counts, Status, TwoViewResult
from msga_ros.two_view.robust_pose import sampling_for, widest_limit
from msga_ros.two_view.stage_clock import StageClock
from msga_ros.two_view.stages import Frontend, NormalisedMatches, Sieve, TrackingFrontend


@dataclass(frozen=True)
class Stages:
    """What one call works with, from its beginning to its end. `second`: those of the second front
    end, if there is one."""

    config: PipelineConfig
    frontend: Frontend
    sieve: Sieve
    sieve_name: str
    second: Stages | None = None

    def reconfigured(self, config: PipelineConfig) -> Stages:
        """The same with other settings: no weights are loaded."""
        frontend, sieve, second = self.frontend, self.sieve, self.second
        if config.frontend != self.config.frontend:
            frontend = frontend.reconfigured(config.frontend)
        if (config.sieve, config.network) != (self.config.sieve, self.config.network):
            sieve = sieve.reconfigured(config)
        if second is not None:
            second = second.reconfigured(config.of_second)
        return Stages(config, frontend, sieve, self.sieve_name, second)


def by_front_end(stages: Stages, features0: Features, features1: Features) -> Matches:
    """Putative matches of the front end."""
    return stages.frontend.match(features0, features1)


def by_descriptors(stages: Stages, features0: Features, features1: Features) -> Matches:
    """Nearest neighbours by descriptor, with the limits of the configuration."""
    made = stages.frontend.matcher if isinstance(stages.frontend, MatchedFrontend) else None
    nearest = made if isinstance(made, NearestMatcher) else NearestMatcher(stages.config.frontend)
    return nearest.match(features0, features1)


def relate(
    stages: Stages,
    features0: Features,
    features1: Features,
    camera0: Camera,
    camera1: Camera,
    match: Callable[[Stages, Features, Features], Matches] = by_front_end,
    continuation: Continuation | None = None,
    fewest: int = 0,
    clock: StageClock | None = None,
) -> TwoViewResult:
    """Matches, then sieve and solver. `CameraError` where a camera is of another image size.

    With fewer candidates than `fewest` no motion is looked for, and one that fewer agree with is
    not looked for long. `continuation`: of a stream, what is known of the pairs before. Points that
    a front end follows and that do not agree with the motion end here. `clock` has the times of the
    work before.
    """
    _check_size(0, features0, camera0)
    _check_size(1, features1, camera1)
    clock = clock or StageClock()
    matches = match(stages, features0, features1)
    clock.lap("match")
    detected = (len(features0), len(features1))
    result = relate_matches(
        stages, matches, camera0, camera1, detected, clock, continuation, fewest
    )
    if match is by_front_end:
        result = replace(result, frontend=stages.frontend.name)
    if isinstance(stages.frontend, TrackingFrontend) and matches.followed is not None:
        stages.frontend.end(features1, matches.feature_indices[1][result.rejected])
    return result


def relate_matches(
    stages: Stages,
    matches: Matches,
    camera0: Camera,
    camera1: Camera,
    detected: tuple[int, int] = (0, 0),
    clock: StageClock | None = None,
    continuation: Continuation | None = None,
    fewest: int = 0,
) -> TwoViewResult:
    """Sieve and solver of `matches`; `detected`: keypoints of both views, for the counts.

    The other arguments are those of `relate`.
    """
    config, clock = stages.config, clock or StageClock()
    normalised = NormalisedMatches.without_evidence(matches, camera0, camera1)
    rows, valid, pair = normalised.correspondences, normalised.valid, matches.followed
    mean_focal = (camera0.mean_focal + camera1.mean_focal) / 2
    motion = None
    if continuation is not None and pair is not None:
        motion = continuation.motion(pair, valid, rows, config, mean_focal)
    if motion is None:
        clock.skip()
        scores = stages.sieve(normalised.described(matches, camera0, camera1))
        clock.lap("network")
        limit = config.network.score_threshold
        enough = scores.candidates(limit).sum() >= fewest
        estimate = estimate_motion if enough else unsought_motion
        sought = config
        if fewest:
            widest = int(scores.candidates(widest_limit(limit)).sum())
            sought = replace(config, pose=sampling_for(config.pose, widest, fewest))
        motion = estimate(scores, rows, sought, mean_focal, matches.independent)
        if continuation is not None and pair is not None:
            continuation.asked(pair, valid, rows, motion)
    else:
        clock.unneeded("network")
    status = motion_status(motion, config.pose)
    if status is Status.TOO_FEW_MATCHES:
        motion = unknown_motion(motion)
    clock.lap("pose")
    return TwoViewResult(
        keypoints0=matches.keypoints0,
        keypoints1=matches.keypoints1,
        indices0=matches.indices0,
        indices1=matches.indices1,
        inlier=motion.inlier,
        inlier_probability=motion.inlier_probability.astype(np.float32),
        essential=motion.essential,
        rotation=motion.rotation,
        translation=motion.translation,
        covariance=motion.covariance,
        status=status,
        median_parallax=motion.median_parallax,
        counts=Counts(
            detected0=detected[0],
            detected1=detected[1],
            matched=len(matches),
            network_inliers=int(motion.candidate.sum()),
            geometric_inliers=int(motion.inlier.sum()),
        ),
        timings=clock.wall,
        cpu_timings=clock.cpu,
        sieve=stages.sieve_name,
    )


def _check_size(view: int, features: Features, camera: Camera) -> None:
    """A calibration for another image size would silently give a wrong pose."""
    if not (camera.width and camera.height):
        return
    # Binning may round the size of the image either way.
    difference = np.subtract(features.image_size, (camera.width, camera.height))
    if np.abs(difference).max() > 1:
        width, height = features.image_size
        raise CameraError(
            f"camera{view} is calibrated for images of {camera.width}x{camera.height}, "
            f"image{view} is {width}x{height}"
        )
