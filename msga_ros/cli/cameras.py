"""Cameras as the command line gives them: numbers, a calibration file, a field of view, a scene."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msga_ros.calibration import read_camera
from msga_ros.calibration.base import CalibrationError
from msga_ros.calibration.rig import usable
from msga_ros.cli.errors import UsageError, existing_file
from msga_ros.foreign_text import read_text
from msga_ros.geometry.camera import Camera, CameraError
from msga_ros.geometry.rotations import checked_rotation
from msga_ros.stream.calibration_check import camera_doubts

Size = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True)
class View:
    """Camera of an image, where it was found, and its pose where the scene tells.

    `rotation` (3, 3) and `translation` (3,): world to camera, `x_cam = R X + t`. `doubts`: what is
    implausible about the calibration, a line each.
    """

    camera: Camera
    source: str
    rotation: NDArray[np.float64] | None = None
    translation: NDArray[np.float64] | None = None
    doubts: tuple[str, ...] = ()


def find_view(
    image: Path, size: Size, camera: str | None, fov: float | None, rectified: bool = False
) -> View:
    """Camera of an image of that size.

    Args:
        image: file the image was read from.
        size: width and height, pixels.
        camera: `fx,fy,cx,cy` in pixels, a calibration file (`msga_ros.calibration`), FILE#NAME
            where it has several cameras, or a `scene.json` that lists the image. None: by `fov`,
            else by the `scene.json` beside the image or one folder up.
        fov: horizontal field of view in degrees of a pinhole with its centre in the image's middle.
        rectified: the image is rectified: a YAML file's projection matrix counts, no distortion.

    Raises:
        UsageError: there is no camera, or it is not one of that image.
    """
    if camera is not None and fov is not None:
        raise UsageError("give either --camera or --fov, not both")
    if fov is not None:
        view = View(_from_field_of_view(fov, size), f"field of view {fov:g} degrees")
    elif camera is not None:
        view = _from_text(camera, image, rectified)
    else:
        view = _from_neighbouring_scene(image)
    found = (view.camera.width, view.camera.height)
    # Binning may round the size of the image either way.
    if all(found) and max(abs(found[0] - size[0]), abs(found[1] - size[1])) > 1:
        raise UsageError(
            f"{image} is {size[0]}x{size[1]} but its camera ({view.source}) "
            f"is of {found[0]}x{found[1]} images"
        )
    return view


def calibrated_camera(text: str) -> Camera:
    """Camera of images that are not known yet: `fx,fy,cx,cy` or a YAML calibration file.

    Raises:
        UsageError: it is neither.
    """
    if text.endswith(".json"):
        raise UsageError(f"camera {text}: a scene.json has a camera for each image; give a YAML")
    return _from_text(text, Path(), rectified=False).camera


def _from_text(text: str, image: Path, rectified: bool) -> View:
    numbers = text.split(",")
    if len(numbers) == 4:
        try:
            fx, fy, cx, cy = (float(number) for number in numbers)
            return View(Camera.pinhole(fx, fy, cx, cy), "command line")
        except CameraError as error:
            raise UsageError(f"camera {text}: {error}") from None
        except ValueError:
            pass  # a file name may hold commas, too
    path = Path(text)
    if not path.exists() and "#" in text:
        path = Path(text.rpartition("#")[0])  # of one of its cameras
    if not path.exists():
        raise UsageError(
            f"camera {text!r} is neither fx,fy,cx,cy nor a file (calibration or scene.json)"
        )
    existing_file(path, "camera file")
    if path.suffix == ".json":
        view = _from_scene(path, image)
        if view is None:
            raise UsageError(f"{path} lists no image {image.name}")
        return view
    return _from_calibration(text, rectified)


def _from_neighbouring_scene(image: Path) -> View:
    for folder in (image.parent, image.parent.parent):
        path = folder / "scene.json"
        view = _from_scene(path, image) if path.is_file() else None
        if view is not None:
            return view
    raise UsageError(
        f"no camera for {image}: give --camera fx,fy,cx,cy, --camera FILE or --fov DEGREES"
    )


def _from_scene(path: Path, image: Path) -> View | None:
    """The entry of the image in a `scene.json`; None where there is none."""
    try:
        entries = json.loads(read_text(path))["images"]
        entry = next((entry for entry in entries if Path(entry["file"]).name == image.name), None)
        if entry is None:
            return None
        size = (int(entry.get("width", 0)), int(entry.get("height", 0)))
        camera = Camera(np.array(entry["K"], dtype=np.float64), width=size[0], height=size[1])
        if "R" not in entry or "t" not in entry:
            return View(camera, str(path))
        rotation = checked_rotation(entry["R"])
        translation = np.array(entry["t"], dtype=np.float64).reshape(3)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: not a scene of images with K ({_reason(error)})") from None
    return View(camera, str(path), rotation, translation)


def _from_field_of_view(fov: float, size: Size) -> Camera:
    if not 0.0 < fov < 180.0:
        raise UsageError(f"the field of view must lie between 0 and 180 degrees, not {fov:g}")
    width, height = size
    focal = 0.5 * width / math.tan(math.radians(fov) / 2)
    return Camera.pinhole(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)


def _from_calibration(text: str, rectified: bool) -> View:
    """The camera of a calibration file, or the one of several that `FILE#NAME` names."""
    try:
        found = read_camera(text)
        camera = Camera.from_camera_info(usable(found, rectified), rectified)
        return View(
            camera, found.source, doubts=tuple(camera_doubts(found.info, camera, rectified))
        )
    except CalibrationError as error:
        raise UsageError(str(error)) from None
    except CameraError as error:
        raise UsageError(f"{text}: {error}") from None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{text} missing" if isinstance(error, KeyError) else text or type(error).__name__
