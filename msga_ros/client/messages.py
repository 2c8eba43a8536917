"""Arrays to the messages of requests, and responses to a `TwoViewResult`."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage

from msga_ros.frontend.base import EVIDENCE, Features
from msga_ros.frontend.from_arrays import matches_from_arrays
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.pose import invert_pose
from msga_ros.geometry.rotations import rotation_from_quaternion
from msga_ros.msg import CameraImage, FeaturePair, ImagePair, Matches
from msga_ros.msg import Features as FeaturesMessage
from msga_ros.node.image_message import image_message
from msga_ros.two_view.result import Counts, Status, TwoViewResult

Array = NDArray[np.float64]
Image = NDArray[np.uint8] | NDArray[np.uint16] | bytes


def camera_info(camera: Camera) -> CameraInfo:
    """K and D of `camera`; R and P as of a camera that stands alone."""
    model, coefficients = camera.distortion_model, camera.distortion
    if model == "none":
        model, coefficients = "plumb_bob", np.zeros(5)
    return CameraInfo(
        width=camera.width,
        height=camera.height,
        distortion_model=model,
        d=[float(value) for value in coefficients],
        k=camera.k.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([camera.k, np.zeros((3, 1))]).ravel(),
    )


def image_pair(image0: Image, image1: Image, camera0: Camera, camera1: Camera) -> ImagePair:
    """Images: (H, W) or (H, W, 3) BGR, uint8 or uint16, or bytes of a picture. `ValueError`."""
    return ImagePair(
        reference=_camera_image(image0, camera0), current=_camera_image(image1, camera1)
    )


def feature_pair(
    features0: Features, features1: Features, camera0: Camera, camera1: Camera
) -> FeaturePair:
    """Features of two images, of one kind of descriptors."""
    return FeaturePair(
        reference=_features(features0, camera0), current=_features(features1, camera1)
    )


def matches_message(
    keypoints0: ArrayLike,
    keypoints1: ArrayLike,
    camera0: Camera,
    camera1: Camera,
    evidence: ArrayLike | None,
    confidence: ArrayLike | None,
) -> Matches:
    """As `TwoViewPipeline.relate_matches` takes them. Raises `ArraysError`."""
    matches = matches_from_arrays(keypoints0, keypoints1, evidence, confidence)
    message = Matches(
        reference_camera_info=camera_info(camera0),
        camera_info=camera_info(camera1),
        reference_points=_floats(matches.keypoints0),
        points=_floats(matches.keypoints1),
    )
    for name in (*EVIDENCE, "confidence"):
        column = getattr(matches, name)
        if column is not None:
            setattr(message, name, _floats(column))
    return message


def result_of(response: Any, milliseconds: float) -> TwoViewResult:
    """What a response with `success` says, as the library would; `x1 = R x0 + t`."""
    found, pose = response.correspondences, response.relative_pose
    status = Status(pose.status)
    rotation: Array = np.full((3, 3), np.nan)
    translation: Array = np.full(3, np.nan)
    essential = np.full((3, 3), np.nan)
    if status is not Status.TOO_FEW_MATCHES:
        turn, place = pose.transform.rotation, pose.transform.translation
        rotation, translation = invert_pose(
            rotation_from_quaternion((turn.x, turn.y, turn.z, turn.w)),
            np.array([place.x, place.y, place.z]),
        )
        essential = np.reshape(pose.essential, (3, 3))
    covariance = np.reshape(np.array(pose.covariance), (6, 6))
    if covariance[0, 0] < 0:
        covariance = np.full((6, 6), np.nan)
    indices0, indices1 = (
        np.asarray(getattr(response, name), np.int64) if hasattr(response, name) else None
        for name in ("reference_indices", "indices")
    )
    return TwoViewResult(
        keypoints0=np.asarray(found.reference_points, np.float32).reshape(-1, 2),
        keypoints1=np.asarray(found.points, np.float32).reshape(-1, 2),
        indices0=indices0,
        indices1=indices1,
        inlier=np.asarray(found.inlier, np.bool_),
        inlier_probability=np.asarray(found.inlier_probability, np.float32),
        essential=essential,
        rotation=rotation,
        translation=translation,
        covariance=covariance,
        status=status,
        median_parallax=(
            float(pose.median_parallax) if status is not Status.TOO_FEW_MATCHES else float("nan")
        ),
        counts=Counts(
            detected0=found.detected_reference,
            detected1=found.detected,
            matched=found.matched,
            network_inliers=found.network_inliers,
            geometric_inliers=found.geometric_inliers,
        ),
        timings={"round_trip": milliseconds},
    )


def _camera_image(image: Image, camera: Camera) -> CameraImage:
    message = CameraImage(camera_info=camera_info(camera))
    if isinstance(image, bytes):
        message.compressed_image = CompressedImage(data=_bytes(np.frombuffer(image, np.uint8)))
        return message
    pixels = np.asarray(image)
    name = "mono" if pixels.ndim == 2 else "bgr"
    message.image = image_message(pixels, encoding=f"{name}{8 * pixels.itemsize}")
    return message


def _features(features: Features, camera: Camera) -> FeaturesMessage:
    message = FeaturesMessage(
        camera_info=camera_info(camera), keypoints=_floats(features.keypoints)
    )
    # A camera may do without the size of its images; a view may not.
    message.camera_info.width, message.camera_info.height = features.image_size
    if features.descriptors.dtype == np.uint8:
        message.binary_descriptors = _bytes(features.descriptors)
    else:
        message.descriptors = _floats(features.descriptors)
    for name in ("scores", "angles", "sizes"):
        column = getattr(features, name)
        if column is not None:
            setattr(message, name, _floats(column))
    return message


def _floats(values: ArrayLike) -> array.array[float]:
    flat = array.array("f")
    flat.frombytes(np.ascontiguousarray(values, np.float32).tobytes())
    return flat


def _bytes(values: NDArray[np.generic]) -> array.array[int]:
    flat = array.array("B")
    flat.frombytes(np.ascontiguousarray(values, np.uint8).tobytes())
    return flat
