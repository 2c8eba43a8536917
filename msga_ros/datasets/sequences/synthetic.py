"""The built-in sequence: a stereo camera goes round a rendered courtyard, its poses are known.

Nothing is downloaded; the same arguments give the same frames. Views have a mild lens blur, sensor
noise and an exposure that changes with time and from camera to camera.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.datasets.sequences.base import LEFT, RIGHT, Frame, SequenceError
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.depth import to_metres
from msga_ros.geometry.rotations import rotation_matrix
from msga_ros.simulation.courtyard import UP, build_courtyard
from msga_ros.simulation.depth_sensor import DepthSensor
from msga_ros.simulation.renderer import Quad, render

SKY = (236, 218, 196)  # BGR


@dataclass(frozen=True)
class SyntheticOptions:
    """What the synthetic camera is like and how it moves."""

    frames: int = 180  # how many are played
    width: int = 640
    height: int = 480
    focal: float = 480.0  # pixels
    stereo: bool = True
    baseline: float = 0.25  # metres from the left to the right camera
    rig_rotation_deg: tuple[float, float, float] = (
        0.0,
        0.0,
        0.0,
    )  # rotation vector; 0: rectified
    rate: float = 10.0  # frames a second
    frames_per_round: int = 180  # of the courtyard: about 16 cm and 2 degrees from frame to frame
    blur: float = 0.6  # sigma of the lens, pixels
    noise: float = 2.0  # sigma of the sensor, gray levels
    exposure: float = 0.08  # amplitude of the relative change of brightness
    seed: int = 0  # of the scene and of the noise
    depth: bool = False  # of the left view, as a sensor of limited range, with holes, measures it

    def __post_init__(self) -> None:
        if min(self.frames, self.frames_per_round) < 1 or min(self.width, self.height) < 16:
            raise SequenceError("synthetic: at least one frame of at least 16x16 pixels is needed")
        if self.focal <= 0 or self.rate <= 0:
            raise SequenceError("synthetic: focal length and rate must be positive")


class SyntheticSequence:
    """Renders frame by frame; `sequence[i]` and iteration give the same `Frame`."""

    def __init__(self, options: SyntheticOptions | None = None) -> None:
        self.options = options or SyntheticOptions()
        self._quads: tuple[Quad, ...] | None = None
        self._noise: NDArray[np.int16] | None = None

    @property
    def name(self) -> str:
        return "synthetic"

    @property
    def rate(self) -> float:
        return self.options.rate

    @property
    def cameras(self) -> tuple[str, ...]:
        return (LEFT, RIGHT) if self.options.stereo else (LEFT,)

    @property
    def camera(self) -> Camera:
        """The pinhole camera that both views share."""
        options = self.options
        k = np.array(
            [
                [options.focal, 0.0, (options.width - 1) / 2.0],
                [0.0, options.focal, (options.height - 1) / 2.0],
                [0.0, 0.0, 1.0],
            ]
        )
        return Camera(k=k, width=options.width, height=options.height)

    def __len__(self) -> int:
        return self.options.frames

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Frame:
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        poses = self.poses(index)
        images = {name: self._view(index, name, pose) for name, pose in poses.items()}
        cameras = dict.fromkeys(poses, self.camera)
        depth = self._depth(index, poses[LEFT]) if self.options.depth else None
        return Frame(index / self.options.rate, images, cameras, poses, depth)

    def poses(self, index: int) -> dict[str, Pose]:
        """True pose of each camera at frame `index`, without drawing anything."""
        left = _round_trip(2.0 * np.pi * index / self.options.frames_per_round)
        if not self.options.stereo:
            return {LEFT: left}
        turn = rotation_matrix(np.radians(self.options.rig_rotation_deg))
        offset = turn @ np.array([-self.options.baseline, 0.0, 0.0])
        return {
            LEFT: left,
            RIGHT: Pose(turn @ left.rotation, turn @ left.translation + offset),
        }

    def clean_view(self, pose: Pose) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Image (H, W, 3) BGR and inverse depth (H, W), 1/m, before lens and sensor, any pose."""
        if self._quads is None:
            self._quads = build_courtyard(self.options.seed)
        size = (self.options.width, self.options.height)
        return render(self._quads, self.camera.k, pose, *size, background=SKY)

    def _depth(self, index: int, pose: Pose) -> NDArray[np.float32]:
        rng = np.random.default_rng([self.options.seed, index, 2])
        return to_metres(DepthSensor().measure(self.clean_view(pose)[1], rng))

    def _view(self, index: int, name: str, pose: Pose) -> NDArray[np.uint8]:
        options = self.options
        image, _ = self.clean_view(pose)
        if options.blur > 0:
            cv2.GaussianBlur(image, (0, 0), options.blur, dst=image)
        phase = 2.0 * np.pi * index / 37.0 + (1.0 if name == RIGHT else 0.0)
        cv2.convertScaleAbs(image, dst=image, alpha=1.0 + options.exposure * np.sin(phase))
        if options.noise > 0:
            cv2.add(image, self._noise_crop(index, name), dst=image, dtype=cv2.CV_8U)
        return image

    def _noise_crop(self, index: int, name: str) -> NDArray[np.int16]:
        """A window of one large field of noise, elsewhere for each image: cheap and repeatable."""
        options, margin = self.options, 64
        if self._noise is None:
            shape = (options.height + margin, options.width + margin, 3)
            field = np.random.default_rng([options.seed, 1]).standard_normal(shape, np.float32)
            self._noise = np.round(options.noise * field).astype(np.int16)
        rng = np.random.default_rng([options.seed, index, int(name == RIGHT)])
        x, y = rng.integers(0, margin, 2)
        return self._noise[y : y + options.height, x : x + options.width]


def _round_trip(angle: float) -> Pose:
    """A smooth closed way round the courtyard, looking ahead, with some sway in every axis."""
    radius = 4.5 + 0.35 * np.sin(2 * angle)
    height = 1.5 + 0.15 * np.sin(5 * angle)
    centre = np.array([radius * np.cos(angle), radius * np.sin(angle), height])
    yaw = angle + np.pi / 2 + np.radians(12) * np.sin(3 * angle)
    pitch = np.radians(3) * np.sin(4 * angle + 0.5)
    roll = np.radians(4) * np.sin(3 * angle + 1.0)
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.cross(forward, UP)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    rotation = rotation_matrix(np.array([0.0, 0.0, roll])) @ rotation
    return Pose(rotation, -rotation @ centre)
