"""Pairs of views as a Rerun recording: to a file, or to the viewer."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.bags.motion import StampedPose
from msga_ros.geometry.rotations import rotation_from_quaternion
from msga_ros.stream.message_fields import STATUS_DEGENERATE, STATUS_OK
from msga_ros.viewing.pairs import ShownPair

Array = NDArray[np.float64]

# RGB, of Okabe and Ito's palette: told apart with every common form of colour blindness.
BLUE, ORANGE, SKY = (0, 114, 178), (230, 159, 0), (86, 180, 233)
TIMELINE = "stamp"


class ViewerError(ValueError):
    """The viewer cannot be used; the message is one line that says what helps."""


def rerun() -> ModuleType:
    """The library. Raises `ViewerError` where it is not installed."""
    try:
        import rerun as library
    except ModuleNotFoundError:
        raise ViewerError(
            "the viewer needs Rerun: pip install 'msga_ros[view]' (or: pip install rerun-sdk)"
        ) from None
    module: ModuleType = library
    return module


class Recorder:
    """Logs pairs in order of time; knows where the cameras were."""

    def __init__(self, path: Path | None) -> None:
        """Write to `path`, or open the viewer where it is None. Raises `ViewerError`."""
        self._rr = rr = rerun()
        self._stream: Any = rr.RecordingStream("msga")
        if path is None:
            self._stream.spawn(default_blueprint=self._blueprint())
        else:
            self._stream.save(path, default_blueprint=self._blueprint())
        self._poses: dict[int, StampedPose] = {}
        self._path: list[Array] = []
        self._epoch = 0
        self._stream.log("world", rr.ViewCoordinates.RDF, static=True)

    def log(self, pair: ShownPair) -> None:
        """One pair: pictures, matches, points, cameras, the path, and how many inliers."""
        rr, stream, motion = self._rr, self._stream, pair.motion
        if motion.epoch != self._epoch:
            self._epoch, self._poses, self._path = motion.epoch, {}, []
        reference = self._reference(pair)
        current = self._current(pair, reference)
        stream.set_time(TIMELINE, timestamp=motion.current_ns * 1e-9)
        if pair.picture is not None:
            stream.log("matches", self._picture(pair.picture))
        self._camera("world/reference", reference, pair, None)
        self._camera("world/current", current, pair, pair.image)
        for name, rows, colour in (
            ("inliers", pair.inlier, BLUE),
            ("outliers", ~pair.inlier, ORANGE),
        ):
            marks = rr.Points2D(pair.pixels[rows], colors=[colour], radii=[2.0])
            stream.log(f"world/current/{name}", marks)
        points = pair.points @ reference.rotation.T + reference.position
        stream.log(
            "world/points", rr.Points3D(points, colors=[BLUE], radii=[rr.Radius.ui_points(2)])
        )
        moved = reference if pair.stereo else current
        self._path.append(moved.position)
        stream.log("world/path", rr.LineStrips3D([np.array(self._path)], colors=[SKY]))
        stream.log("counts/inliers", rr.Scalars(float(pair.inlier.sum())))
        stream.log("counts/matches", rr.Scalars(float(len(pair.inlier))))

    def close(self) -> None:
        """Have everything written."""
        self._stream.flush()
        self._stream.disconnect()

    def _reference(self, pair: ShownPair) -> StampedPose:
        stamp = pair.motion.reference_ns
        if pair.truth is not None:
            return pair.truth
        if stamp in self._poses:
            return self._poses[stamp]
        if self._poses and not pair.stereo:
            return list(self._poses.values())[-1]
        return StampedPose(stamp, np.eye(3), np.zeros(3))

    def _current(self, pair: ShownPair, reference: StampedPose) -> StampedPose:
        """Where the motion leads; a motion that is unknown leads nowhere."""
        motion = pair.motion
        turn: Array = np.eye(3)
        step: Array = np.zeros(3)
        if motion.status in (STATUS_OK, STATUS_DEGENERATE):
            turn = rotation_from_quaternion(motion.rotation)
        if motion.status == STATUS_OK:
            step = np.array(motion.translation)
        pose = StampedPose(
            motion.current_ns,
            reference.rotation @ turn,
            reference.rotation @ step + reference.position,
        )
        if not pair.stereo:
            self._poses[motion.reference_ns] = reference
            self._poses[motion.current_ns] = pose
        return pose

    def _camera(self, name: str, pose: StampedPose, pair: ShownPair, image: Any) -> None:
        rr, stream = self._rr, self._stream
        stream.log(name, rr.Transform3D(translation=pose.position, mat3x3=pose.rotation))
        width, height = pair.size
        distance = 0.3 * (float(np.linalg.norm(pair.motion.translation)) or 1.0)
        stream.log(
            name,
            rr.Pinhole(
                image_from_camera=pair.camera.k,
                resolution=[width, height],
                image_plane_distance=distance,
            ),
        )
        if image is not None:
            stream.log(name, self._picture(image))

    def _picture(self, image: NDArray[np.uint8]) -> Any:
        """Compressed: recordings of raw images grow by hundreds of megabytes a minute."""
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
        return self._rr.EncodedImage(contents=data, media_type="image/jpeg")

    def _blueprint(self) -> Any:
        from rerun import blueprint as layout

        return layout.Blueprint(
            layout.Horizontal(
                layout.Spatial3DView(name="Points and cameras", origin="world"),
                layout.Vertical(
                    layout.Spatial2DView(name="Matches", origin="matches"),
                    layout.Spatial2DView(name="Current view", origin="world/current"),
                    layout.TimeSeriesView(name="Counts", origin="counts"),
                    row_shares=[3, 3, 1],
                ),
            ),
            collapse_panels=True,
        )
