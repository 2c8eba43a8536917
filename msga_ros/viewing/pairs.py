"""What is shown of two views, from wherever it comes."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from msga_ros.bags.motion import Motion, StampedPose
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.rotations import rotation_from_quaternion
from msga_ros.geometry.triangulation import triangulate
from msga_ros.stream.message_fields import STATUS_OK
from msga_ros.stream.message_set import header_ns
from msga_ros.stream.message_types import Correspondences, OfTwoViews, RelativePose
from msga_ros.stream.processor import Outcome
from msga_ros.two_view.drawing import draw_matches

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

_FARTHEST = 100.0  # baselines; points farther away are noise


@dataclass(frozen=True)
class ShownPair:
    """Two views, their matches and the motion between them.

    `pixels` (N, 2): of the matches in the current view; `inlier` (N,). `points` (M, 3):
    triangulated inliers in the *reference* camera, in the unit of the motion. `stereo`: the views
    are of one instant. `image`: the current view, BGR or grey; `picture`: both views with their
    matches, BGR; None where there is none. `truth`: pose of the reference camera in the world,
    where it is known.
    """

    motion: Motion
    camera: Camera
    size: tuple[int, int]
    pixels: Array
    inlier: NDArray[np.bool_]
    points: Array
    stereo: bool
    image: Image | None = None
    picture: Image | None = None
    truth: StampedPose | None = None


def pair_from_outcome(outcome: Outcome, epoch: int, truth: StampedPose | None = None) -> ShownPair:
    """What the pipeline made of two images."""
    motion = Motion.of(outcome, epoch)
    result, current = outcome.result, outcome.current
    rays = (
        outcome.reference.camera.normalize(result.keypoints0),
        current.camera.normalize(result.keypoints1),
    )
    return ShownPair(
        motion=motion,
        camera=current.camera,
        size=current.size,
        pixels=np.asarray(result.keypoints1, dtype=np.float64),
        inlier=np.asarray(result.inlier, dtype=bool),
        points=_points(motion, rays, np.asarray(result.inlier, dtype=bool)),
        stereo=outcome.stereo,
        image=current.image,
        picture=draw_matches(outcome.reference.image, current.image, result),
        truth=truth,
    )


def pair_from_messages(
    matches: Correspondences, pose: RelativePose, epoch: int = 0, picture: Image | None = None
) -> ShownPair:
    """What `Correspondences` and `RelativePose` say; the messages are of `rclpy` or `rosbags`.

    K alone takes pixels to rays: the points of images that are not rectified lie a little off.
    """
    offset, turned = pose.transform.translation, pose.transform.rotation
    motion = Motion(
        reference_ns=header_ns(pose.reference_header),
        current_ns=header_ns(pose.header),
        epoch=epoch,
        status=int(pose.status),
        scale_known=bool(pose.translation_scale_known),
        translation=(float(offset.x), float(offset.y), float(offset.z)),
        rotation=(float(turned.x), float(turned.y), float(turned.z), float(turned.w)),
    )
    cameras = [Camera(np.array(k, dtype=np.float64).reshape(3, 3))
               for k in (matches.reference_k, matches.k)]  # fmt: skip
    pixels = [np.asarray(one, dtype=np.float64).reshape(-1, 2)
              for one in (matches.reference_points, matches.points)]  # fmt: skip
    inlier = np.asarray(matches.inlier, dtype=bool)
    rays = (cameras[0].normalize(pixels[0]), cameras[1].normalize(pixels[1]))
    return ShownPair(
        motion=motion,
        camera=cameras[1],
        size=(int(matches.width), int(matches.height)),
        pixels=pixels[1],
        inlier=inlier,
        points=_points(motion, rays, inlier),
        stereo=int(matches.pairing) == 0,
        picture=picture,
    )


def message_key(message: OfTwoViews) -> tuple[int, int]:
    """Stamps of the two views that a message is about."""
    return header_ns(message.reference_header), header_ns(message.header)


def _points(motion: Motion, rays: tuple[Array, Array], inlier: NDArray[np.bool_]) -> Array:
    """Triangulated inliers (M, 3) in the reference camera, those in front of it and near."""
    length = float(np.linalg.norm(motion.translation))
    if motion.status != STATUS_OK or length == 0:
        return np.empty((0, 3))
    to_current = rotation_from_quaternion(motion.rotation).T
    shift = -to_current @ np.array(motion.translation)
    points = triangulate(rays[0][inlier], rays[1][inlier], to_current, shift)
    depth = points[:, 2]
    near = np.isfinite(points).all(axis=1) & (depth > 0) & (depth < _FARTHEST * length)
    return np.asarray(points[near], dtype=np.float64)


def header_of(stamp_ns: int, frame_id: str) -> SimpleNamespace:
    """A header without ROS."""
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    return SimpleNamespace(
        stamp=SimpleNamespace(sec=seconds, nanosec=nanoseconds), frame_id=frame_id
    )
