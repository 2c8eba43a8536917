"""Frames of a sequence as ROS messages: images, calibrations, true poses."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose as CameraPose
from msga_ros.geometry.depth import MILLIMETRE, DepthImage
from msga_ros.geometry.rotations import quaternion, rotation_from_quaternion
from msga_ros.node.image_message import image_message

Array = NDArray[np.float64]
Rectification = tuple[Array, Array]  # R (3, 3) and P (3, 4) of sensor_msgs/CameraInfo


def camera_info_message(
    camera: Camera, rectification: Rectification, header: Header, image: NDArray[np.uint8]
) -> CameraInfo:
    """The calibration that belongs to `image`."""
    model, coefficients = camera.distortion_model, camera.distortion
    if model == "none":
        model, coefficients = "plumb_bob", np.zeros(5)
    rotation, projection = rectification
    message = CameraInfo(header=header, distortion_model=model)
    message.height, message.width = image.shape[:2]
    message.d = [float(value) for value in coefficients]
    message.k = camera.k.ravel()
    message.r = rotation.ravel()
    message.p = projection.ravel()
    return message


def depth_message(depth: DepthImage, header: Header) -> Image:
    """A depth image (H, W) in metres, NaN for none, as `16UC1` in millimetres, 0 for none."""
    millimetres = np.nan_to_num(depth / MILLIMETRE, nan=0.0).round().clip(0, 65535)
    return image_message(millimetres.astype(np.uint16), header, "16UC1")


def rectifications(frame: Frame) -> Mapping[str, Rectification]:
    """R and P of each camera of a frame.

    A single camera, or two whose poses are unknown, are given as they are: R = I, P = [K 0]. The
    right camera of a rectified pair has `-fx * baseline` in P. Other pairs get the rectifying
    rotations and the common projection that OpenCV computes from the true poses.
    """
    plain = {
        side: (np.eye(3), np.hstack([camera.k, np.zeros((3, 1))]))
        for side, camera in frame.cameras.items()
    }
    if frame.poses is None or RIGHT not in frame.cameras:
        return plain
    left, right = frame.cameras[LEFT], frame.cameras[RIGHT]
    rig = frame.poses[RIGHT].relative_to(frame.poses[LEFT])
    if _is_rectified(left, right, rig):
        plain[RIGHT][1][0, 3] = right.k[0, 0] * rig.translation[0]
        return plain
    if {left.distortion_model, right.distortion_model} != {"none"}:
        return plain
    height, width = frame.images[LEFT].shape[:2]
    result = cv2.stereoRectify(
        left.k,
        np.zeros(5),
        right.k,
        np.zeros(5),
        (width, height),
        rig.rotation,
        rig.translation,
        flags=cv2.CALIB_ZERO_DISPARITY,
        alpha=0,
    )
    rotation_left, rotation_right, projection_left, projection_right = (
        np.asarray(matrix, dtype=np.float64) for matrix in result[:4]
    )
    return {LEFT: (rotation_left, projection_left), RIGHT: (rotation_right, projection_right)}


def pose_message(pose: CameraPose, stamp: object, frame_id: str) -> PoseStamped:
    """Where a camera is in the world frame `frame_id` (the inverse of world to camera)."""
    x, y, z = (float(value) for value in pose.centre)
    return PoseStamped(
        header=Header(stamp=stamp, frame_id=frame_id),
        pose=Pose(position=Point(x=x, y=y, z=z), orientation=_quaternion(pose.rotation.T)),
    )


def pose_from_message(message: PoseStamped) -> CameraPose:
    """The inverse of `pose_message`."""
    to_world, centre = rotation_from_message(message.pose.orientation), message.pose.position
    return CameraPose(to_world.T, -to_world.T @ np.array([centre.x, centre.y, centre.z]))


def rotation_from_message(message: Quaternion) -> Array:
    """Rotation matrix (3, 3) of a unit quaternion."""
    return rotation_from_quaternion((message.x, message.y, message.z, message.w))


def _is_rectified(left: Camera, right: Camera, rig: CameraPose) -> bool:
    sideways = np.linalg.norm(rig.translation[1:]) <= 1e-3 * abs(rig.translation[0])
    parallel = np.allclose(rig.rotation, np.eye(3), atol=1e-4)
    return bool(sideways and parallel and np.allclose(left.k, right.k, atol=1e-3))


def _quaternion(rotation: Array) -> Quaternion:
    x, y, z, w = quaternion(rotation)
    return Quaternion(x=x, y=y, z=z, w=w)
