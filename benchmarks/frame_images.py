"""Frames of a sequence made ready before a benchmark's clock starts."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from msga_ros.datasets.sequences.base import LEFT, Frame
from msga_ros.geometry.camera import Camera


def undistorted(frame: Frame) -> Frame:
    """The same frame by a pinhole camera of the same matrix."""
    if all(camera.distortion_model == "none" for camera in frame.cameras.values()):
        return frame
    images, cameras, depth = dict(frame.images), dict(frame.cameras), frame.depth
    for side, camera in frame.cameras.items():
        pinhole = Camera(camera.k, width=camera.width, height=camera.height)
        grid = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), -1)
        seen = camera.project(pinhole.normalize(grid.reshape(-1, 2))).astype(np.float32)
        maps = seen.reshape(camera.height, camera.width, 2)
        images[side] = np.asarray(cv2.remap(frame.images[side], maps, None, cv2.INTER_LINEAR))
        cameras[side] = pinhole
        if side == LEFT and depth is not None:
            depth = np.asarray(
                cv2.remap(depth, maps, None, cv2.INTER_NEAREST, borderValue=float("nan"))
            )
    return replace(frame, images=images, cameras=cameras, depth=depth)


def resized(frame: Frame, width: int) -> Frame:
    """The same frame with images of `width` pixels; depth stays as it is."""
    scale = width / frame.images[LEFT].shape[1]
    size = (width, round(scale * frame.images[LEFT].shape[0]))
    images = {
        side: np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        for side, image in frame.images.items()
    }
    cameras = {side: camera.scaled(scale) for side, camera in frame.cameras.items()}
    return replace(frame, images=images, cameras=cameras)
