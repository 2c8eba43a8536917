"""A small rendered collection with known poses, written in every layout that `msga dump` reads."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from msga_ros.datasets.sequences.base import LEFT, RIGHT
from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose

FRAMES = 5
RATE = 10.0  # frames a second
_LEFT, _TOP, _WIDTH, _HEIGHT = 14, 3, 296, 232  # what is cut out: the centre is not in the middle
LENS = np.array([-0.28, 0.07, 0.001, -0.0005])  # of the layouts with distortion


@dataclass(frozen=True)
class View:
    """One image with its truth."""

    image: NDArray[np.uint8]
    camera: Camera
    pose: Pose
    frame: int
    side: str


def rendered_views() -> list[View]:
    """Stereo frames of the built-in courtyard, cut out off the centre; left views first."""
    return list(_rendered())


@lru_cache(maxsize=1)
def _rendered() -> tuple[View, ...]:
    options = SyntheticOptions(
        frames=FRAMES, width=320, height=240, focal=240.0, frames_per_round=90
    )
    sequence = SyntheticSequence(options)
    k = sequence.camera.k - np.array([[0, 0, _LEFT], [0, 0, _TOP], [0, 0, 0]])
    camera = Camera(k, width=_WIDTH, height=_HEIGHT)
    cut = (slice(_TOP, _TOP + _HEIGHT), slice(_LEFT, _LEFT + _WIDTH))
    views = []
    for number, frame in enumerate(sequence):
        for side, pose in (frame.poses or {}).items():
            image = np.ascontiguousarray(frame.images[side][cut])
            views.append(View(image, camera, pose, number, side))
    return tuple(sorted(views, key=lambda view: (view.side != LEFT, view.frame)))


def through_lens(view: View) -> View:
    """The same view by a lens with distortion."""
    camera = Camera(view.camera.k, "plumb_bob", LENS, _WIDTH, _HEIGHT)
    grid = np.stack(np.meshgrid(np.arange(_WIDTH), np.arange(_HEIGHT)), -1).reshape(-1, 2)
    seen = view.camera.project(camera.normalize(grid)).astype(np.float32)
    source = seen.reshape(_HEIGHT, _WIDTH, 2)
    image = cv2.remap(view.image, source[..., 0], source[..., 1], cv2.INTER_CUBIC)
    return View(np.asarray(image, np.uint8), camera, view.pose, view.frame, view.side)


def write_scene(folder: Path, views: list[View], **extra: Any) -> Path:
    """`scene.json`; `extra` entries go to its top level."""
    (folder / "images").mkdir(parents=True)
    entries = []
    for view in views:
        file = f"{view.side}_{view.frame:03}.png"
        _save(folder / "images" / file, view)
        entries.append(
            {
                "file": file,
                "width": _WIDTH,
                "height": _HEIGHT,
                "K": view.camera.k.tolist(),
                "R": view.pose.rotation.tolist(),
                "t": view.pose.translation.tolist(),
                "timestamp": view.frame / RATE,
                "cam": view.side,
                "frame": view.frame,
                "pair": view.frame,
            }
        )
    document = {"name": "yard", "images": entries, **extra}
    (folder / "scene.json").write_text(json.dumps(document))
    return folder


def write_colmap(folder: Path, views: list[View], binary: bool, visible: bool = True) -> Path:
    """A model in `sparse/0`; images that are near in time share points."""
    model = folder / "sparse" / "0"
    model.mkdir(parents=True)
    (folder / "images" / LEFT).mkdir(parents=True)
    (folder / "images" / RIGHT).mkdir()
    k, distorted = views[0].camera.k, views[0].camera.distortion.size > 0
    parameters = [k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5]
    parameters += views[0].camera.distortion.tolist()
    entries = []
    for number, view in enumerate(views):
        name = f"{view.side}/{view.frame:03}.png"
        _save(folder / "images" / name, view)
        q = Rotation.from_matrix(view.pose.rotation).as_quat()[[3, 0, 1, 2]]
        # Each moment shows 10 points of its own and 10 of the next one.
        points = [10 * view.frame + n for n in range(20)] if visible else []
        entries.append((number + 1, q, view.pose.translation, name, [*points, -1]))
    if binary:
        _write_binary(model, distorted, parameters, entries)
    else:
        _write_text(model, distorted, parameters, entries)
    return folder


def write_tum(folder: Path, views: list[View]) -> Path:
    """One camera; ground truth stands 20 ms before and after each image, not at it."""
    (folder / "rgb").mkdir(parents=True)
    listing, truth = ["# timestamp filename"], ["# timestamp tx ty tz qx qy qz qw"]
    for view in views:
        stamp = 1305031102.0 + view.frame / RATE
        _save(folder / "rgb" / f"{stamp:.6f}.png", view)
        listing.append(f"{stamp:.6f} rgb/{stamp:.6f}.png")
        for sign in (-1, 1):
            turned = view.pose.rotation.T @ _turn(sign * np.array([0.02, -0.01, 0.005]))
            centre = view.pose.centre + sign * np.array([0.01, 0.02, 0.0])
            values = [*centre, *Rotation.from_matrix(turned).as_quat()]
            truth.append(f"{stamp + sign * 0.02:.6f} " + " ".join(f"{v:.9f}" for v in values))
    later = 1305031102.0 + FRAMES / RATE + 3.0  # long after the last pose: has none
    listing.append(f"{later:.6f} rgb/none.png")
    (folder / "rgb.txt").write_text("\n".join(listing) + "\n")
    (folder / "groundtruth.txt").write_text("\n".join(truth) + "\n")
    return folder


def write_kitti(folder: Path, views: list[View]) -> Path:
    """`sequences/07` and `poses/07.txt` below the folder; the sequence's path."""
    sequence = folder / "sequences" / "07"
    k = views[0].camera.k
    left = next(view for view in views if view.side == LEFT)
    right = next(view for view in views if view.side == RIGHT)
    offset = right.pose.relative_to(left.pose).translation
    shifts = (np.zeros(3), np.zeros(3), np.zeros(3), offset)
    lines = [
        f"P{n}: " + " ".join(f"{v:.12e}" for v in (k @ np.column_stack((np.eye(3), shift))).ravel())
        for n, shift in enumerate(shifts)
    ]
    for view in views:
        path = sequence / f"image_{2 if view.side == LEFT else 3}" / f"{view.frame:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(path, view)
    (sequence / "calib.txt").write_text("\n".join(lines) + "\n")
    (folder / "poses").mkdir()
    rows = [
        np.column_stack((view.pose.rotation.T, view.pose.centre)).ravel()
        for view in views
        if view.side == LEFT
    ]
    np.savetxt(folder / "poses" / "07.txt", rows)
    return sequence


def write_euroc(folder: Path, views: list[View]) -> Path:
    """Two cameras on a body; ground truth is the body's, between the images' times."""
    recording = folder / "mav0"
    to_body = {LEFT: np.eye(4), RIGHT: np.eye(4)}
    to_body[LEFT][:3, :3] = _turn(np.array([0.1, -1.4, 0.3]))  # left camera to body
    to_body[LEFT][:3, 3] = (0.02, -0.06, 0.01)
    left, right = (next(v for v in views if v.side == side and v.frame == 0) for side in to_body)
    between = left.pose.relative_to(right.pose)  # right to left
    to_body[RIGHT] = to_body[LEFT] @ _matrix(between)
    truth = ["#timestamp, p_x, p_y, p_z, q_w, q_x, q_y, q_z"]
    for number, side in enumerate((LEFT, RIGHT)):
        sensor = recording / f"cam{number}"
        (sensor / "data").mkdir(parents=True)
        listing = ["#timestamp [ns],filename"]
        for view in (view for view in views if view.side == side):
            stamp = 1403715273262142976 + int(1e9 * view.frame / RATE)
            _save(sensor / "data" / f"{stamp}.png", view)
            listing.append(f"{stamp},{stamp}.png")
            if side == LEFT:
                world = np.linalg.inv(_matrix(view.pose)) @ np.linalg.inv(to_body[LEFT])
                for sign in (-1, 1):
                    turned = world[:3, :3] @ _turn(sign * np.array([0.004, 0.01, -0.01]))
                    centre = world[:3, 3] + sign * np.array([0.004, -0.01, 0.003])
                    q = Rotation.from_matrix(turned).as_quat()[[3, 0, 1, 2]]
                    values = ",".join(f"{v:.9f}" for v in (*centre, *q, 0.0, 0.0, 0.0))
                    truth.append(f"{stamp + sign * 2_500_000},{values}")
        (sensor / "data.csv").write_text("\n".join(listing) + "\n")
        k = views[0].camera.k
        description = {
            "sensor_type": "camera",
            "T_BS": {"cols": 4, "rows": 4, "data": to_body[side].ravel().tolist()},
            "resolution": [_WIDTH, _HEIGHT],
            "camera_model": "pinhole",
            "intrinsics": [float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2])],
            "distortion_model": "radial-tangential",
            "distortion_coefficients": views[0].camera.distortion.tolist() or [0.0] * 4,
        }
        (sensor / "sensor.yaml").write_text(yaml.safe_dump(description))
    (recording / "state_groundtruth_estimate0").mkdir()
    (recording / "state_groundtruth_estimate0" / "data.csv").write_text("\n".join(truth) + "\n")
    return folder


def write_published(folder: Path, views: list[View]) -> Path:
    """`yard/test`, as YFCC100M is published: the principal point is an offset from the centre."""
    place = folder / "yard" / "test"
    for part in ("images", "calibration", "visibility"):
        (place / part).mkdir(parents=True)
    listings: dict[str, list[str]] = {"images": [], "calibration": [], "visibility": []}
    for number, view in enumerate(views):
        files = (f"images/{number}.png", f"calibration/{number}.h5", f"visibility/{number}.txt")
        for listing, file in zip(listings.values(), files, strict=True):
            listing.append(file)
        _save(place / files[0], view)
        k = view.camera.k.copy()
        k[:2, 2] -= ((_WIDTH - 1) / 2, (_HEIGHT - 1) / 2)
        with h5py.File(place / files[1], "w") as file:
            file["K"], file["R"], file["T"] = k, view.pose.rotation, view.pose.translation[None]
            file["imsize"] = np.array([[_WIDTH, _HEIGHT]])
        seen = [100.0 - 20.0 * abs(view.frame - other.frame) for other in views]
        np.savetxt(place / files[2], seen)
    for name, files_of in listings.items():
        (place / f"{name}.txt").write_text("\n".join(files_of) + "\n")
    return place


@dataclass(frozen=True)
class Layout:
    """How a kind of collection is written, and what is special about it."""

    write: Callable[[Path, list[View]], Path]
    stereo: bool = True
    lens: bool = False
    folder: str = "yard"


LAYOUTS = {
    "scene": Layout(write_scene),
    "published": Layout(write_published),
    "tum": Layout(write_tum, stereo=False, folder="rgbd_dataset_freiburg3_yard"),
    "kitti": Layout(write_kitti),
    "euroc": Layout(write_euroc),
    "euroc, lens": Layout(write_euroc, lens=True),
    "colmap": Layout(lambda folder, views: write_colmap(folder, views, binary=False)),
    "colmap, binary": Layout(
        lambda folder, views: write_colmap(folder, views, binary=True), lens=True
    ),
}


def _write_text(model: Path, distorted: bool, parameters: list[float], entries: list[Any]) -> None:
    kind = "OPENCV" if distorted else "PINHOLE"
    words = " ".join(repr(float(value)) for value in parameters)
    (model / "cameras.txt").write_text(
        f"# Camera list\n7 {kind} {_WIDTH} {_HEIGHT} {words}\n"  # numbers need not start at 1
    )
    lines = ["# Image list with two lines of data per image:"]
    for number, q, t, name, points in entries:
        lines.append(" ".join(map(repr, (number, *q.tolist(), *t.tolist(), 7))) + f" {name}")
        lines.append(" ".join(f"1.5 2.5 {point}" for point in points) if len(points) > 1 else "")
    (model / "images.txt").write_text("\n".join(lines) + "\n")


def _write_binary(
    model: Path, distorted: bool, parameters: list[float], entries: list[Any]
) -> None:
    data = struct.pack("<QiiQQ", 1, 7, 4 if distorted else 1, _WIDTH, _HEIGHT)
    data += struct.pack(f"<{len(parameters)}d", *parameters)
    (model / "cameras.bin").write_bytes(data)
    data = struct.pack("<Q", len(entries))
    for number, q, t, name, points in entries:
        data += struct.pack("<i7di", number, *q, *t, 7) + name.encode() + b"\0"
        data += struct.pack("<Q", len(points))
        data += b"".join(struct.pack("<ddq", 1.5, 2.5, point) for point in points)
    (model / "images.bin").write_bytes(data)


def _save(path: Path, view: View) -> None:
    assert cv2.imwrite(str(path), view.image)


def _turn(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(Rotation.from_rotvec(vector).as_matrix())


def _matrix(pose: Pose) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = pose.rotation, pose.translation
    return matrix
