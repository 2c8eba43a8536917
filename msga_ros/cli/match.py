"""`msga match`: two images to a picture of their matches and the relative pose."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from msga_ros.cli.cameras import View, find_view
from msga_ros.cli.errors import FAILED, UsageError, existing_file, reported_errors, writable_file
from msga_ros.cli.settings import overrides
from msga_ros.cli.shared import (
    ConfigFile,
    Device,
    FrontendName,
    MatcherName,
    Rectified,
    Settings,
    Weights,
    console,
)
from msga_ros.frontend.pictures import read_picture
from msga_ros.geometry.pose import pose_error_deg, rotation_angle_deg
from msga_ros.two_view.config import refinements
from msga_ros.two_view.drawing import draw_before_after, draw_matches
from msga_ros.two_view.pipeline import Status, TwoViewPipeline, TwoViewResult
from msga_ros.whole_files import write_whole

_MEANING = {
    Status.OK: "OK",
    Status.TOO_FEW_MATCHES: "TOO FEW MATCHES agree on a motion: no pose",
    Status.DEGENERATE: "DEGENERATE: hardly any parallax, or two motions that fit alike: "
    "the translation's direction is unknown",
}


@dataclass(frozen=True)
class Request:
    """What `msga match` was asked for; see its help."""

    image0: Path
    image1: Path
    camera0: str | None
    camera1: str | None
    fov: float | None
    rectified: bool
    config: Path | None
    overrides: Mapping[str, object]
    output: Path
    before_after: bool  # all matches above, inliers alone below; else both in one
    json_file: Path | None


def command(
    image0: Annotated[Path, typer.Argument(help="Reference view.")],
    image1: Annotated[Path, typer.Argument(help="Current view.")],
    camera: Annotated[
        str | None,
        typer.Option(
            help="fx,fy,cx,cy in pixels; or a calibration (camera_info as echoed, ROS, Kalibr, "
            "OpenCV, ORB-SLAM, EuRoC; FILE#NAME of several cameras); or a scene.json. Default: the "
            "scene.json beside the images."
        ),
    ] = None,
    camera1: Annotated[str | None, typer.Option(help="Of the current view, if another.")] = None,
    fov: Annotated[
        float | None, typer.Option(help="Instead of a camera: horizontal field of view, degrees.")
    ] = None,
    rectified: Rectified = False,
    frontend: FrontendName = None,
    matcher: MatcherName = None,
    refine: Annotated[
        str | None,
        typer.Option(help=f"Refinement of the pose, one of {', '.join(refinements())}."),
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    weights: Weights = None,
    device: Device = None,
    before_after: Annotated[
        bool, typer.Option("--before-after", help="All matches above, the inliers alone below.")
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture of the matches.")] = Path(
        "matches.png"
    ),
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the pose and the counts there.")
    ] = None,
) -> None:
    """Match two images: a picture of the matches, the pose x_current = R x_reference + t.

    Exits with 1 where there is no pose.
    """
    with reported_errors():
        given = {
            "frontend.name": frontend,
            "frontend.matcher": matcher,
            "pose.refine": refine,
            "network.weights": str(weights) if weights else None,
            "network.device": device,
            "frontend.device": device,
        }
        request = Request(
            image0=image0,
            image1=image1,
            camera0=camera,
            camera1=camera1,
            fov=fov,
            rectified=rectified,
            config=config,
            overrides=overrides(settings or (), given),
            before_after=before_after,
            output=output,
            json_file=json_file,
        )
        status = run(request, console())
        if status is Status.TOO_FEW_MATCHES:
            raise typer.Exit(FAILED)


def run(request: Request, console: Console) -> Status:
    """Relate the images, write the picture, print the pose.

    Raises:
        UsageError: an image, a camera or an output cannot be used.
    """
    _check_output(request)
    image0, image1 = read_image(request.image0), read_image(request.image1)
    view0, view1 = (
        find_view(path, (image.shape[1], image.shape[0]), camera, request.fov, request.rectified)
        for path, image, camera in (
            (request.image0, image0, request.camera0),
            (request.image1, image1, request.camera1 or request.camera0),
        )
    )
    doubts = [f"{view.source}: {text}" for view in (view0, view1) for text in view.doubts]
    for text in dict.fromkeys(doubts):
        console.print(f"[yellow]warning[/] {escape(text)}", highlight=False, soft_wrap=True)
    with console.status("loading the network"):
        pipeline = TwoViewPipeline.from_config(request.config, **request.overrides)
    with console.status("matching"):
        result = pipeline(image0, image1, view0.camera, view1.camera)
    draw = draw_before_after if request.before_after else draw_matches
    _write_picture(request.output, draw(image0, image1, result))
    errors = _errors(result, view0, view1)
    console.print(_report(request, result, view0, view1, errors))
    if request.json_file:
        values = _as_json(request, result, errors)
        write_whole(request.json_file, json.dumps(values, indent=2) + "\n")
    return result.status


def read_image(path: Path) -> NDArray[np.uint8]:
    """BGR image `(H, W, 3)`, its pixels as stored (a calibration knows no EXIF orientation).

    Raises:
        UsageError: there is no such file.
        PictureError: OpenCV cannot read it.
    """
    existing_file(path, "image")
    image = read_picture(path)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image, "u1")


def _check_output(request: Request) -> None:
    """Before the work, not after it."""
    writable_file(request.output, "picture")
    if not cv2.haveImageWriter(str(request.output)):
        raise UsageError(f"unknown format of the picture: {request.output} (try .png or .jpg)")
    if request.json_file:
        writable_file(request.json_file, "JSON file")


def _write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    encoded, data = cv2.imencode(path.suffix, picture)
    if not encoded:
        raise UsageError(f"the picture cannot be written: {path}")
    write_whole(path, data.tobytes())


def _errors(result: TwoViewResult, view0: View, view1: View) -> tuple[float, float] | None:
    """Rotation and translation error in degrees, where the scene has both poses."""
    if result.status is Status.TOO_FEW_MATCHES:
        return None
    if view0.rotation is None or view1.rotation is None or view0.source != view1.source:
        return None
    if view0.translation is None or view1.translation is None:
        return None
    rotation = view1.rotation @ view0.rotation.T
    translation = view1.translation - rotation @ view0.translation
    return pose_error_deg(result.rotation, result.translation, rotation, translation, signed=True)


def _report(
    request: Request,
    result: TwoViewResult,
    view0: View,
    view1: View,
    errors: tuple[float, float] | None,
) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(request, result, view0, view1, errors):
        table.add_row(name, escape(value))
    return table


def _lines(
    request: Request,
    result: TwoViewResult,
    view0: View,
    view1: View,
    errors: tuple[float, float] | None,
) -> Iterator[tuple[str, str]]:
    counts = result.counts
    yield "images", f"{request.image0.name} (reference), {request.image1.name} (current)"
    yield "cameras", " and ".join(dict.fromkeys((_camera(view0), _camera(view1))))
    yield "status", _MEANING[result.status]
    detected = f"{counts.detected0} and {counts.detected1} keypoints"
    inliers = f"{counts.network_inliers} network inliers, {counts.geometric_inliers} inliers"
    yield "matches", f"{detected}, {counts.matched} putative matches, {inliers}"
    yield "front end", _answering(result)
    yield "sieve", result.sieve
    if result.status is not Status.TOO_FEW_MATCHES:
        rows = (" ".join(f"{entry:9.6f}" for entry in row) for row in result.rotation)
        angle = rotation_angle_deg(result.rotation)
        yield "rotation", "\n".join(rows)
        yield "", f"by {angle:.2f} degrees; x_current = R x_reference + t"
        direction = " ".join(f"{entry:9.6f}" for entry in result.translation)
        yield "translation", f"{direction}  (unit length: two views have no scale)"
        yield "parallax", f"{math.degrees(result.median_parallax):.2f} degrees, median"
        yield "deviation", _deviations(result)
    if errors:
        yield "error", f"rotation {errors[0]:.2f}, translation {errors[1]:.2f} degrees (true poses)"
    yield "time", ", ".join(f"{name} {value:.0f} ms" for name, value in result.timings.items())
    yield "picture", str(request.output)


def _answering(result: TwoViewResult) -> str:
    """Whose matches these are, and who else was asked."""
    second, name = result.second, result.frontend
    if second is None or second.stands:
        return name if result.refused is None else f"{name}; {result.refused.frontend} had no pose"
    said = f"failed: {second.problem}" if second.problem else "has no pose either"
    return f"{name}; {second.frontend}, the second one, {said}"


def _deviations(result: TwoViewResult) -> str:
    """Standard deviations along the least certain axis, from the covariance."""
    if not np.isfinite(result.covariance).all():
        return "unknown"
    direction, rotation = (
        math.degrees(math.sqrt(max(float(np.linalg.eigvalsh(block)[-1]), 0.0)))
        for block in (result.covariance[:3, :3], result.covariance[3:, 3:])
    )
    return f"rotation {rotation:.2f}, direction of translation {direction:.2f} degrees (1 sigma)"


def _camera(view: View) -> str:
    k, model = view.camera.k, view.camera.distortion_model
    lens = "" if model == "none" else f" {model}"
    return (
        f"fx {k[0, 0]:.1f} fy {k[1, 1]:.1f} cx {k[0, 2]:.1f} cy {k[1, 2]:.1f}{lens} ({view.source})"
    )


def _as_json(
    request: Request, result: TwoViewResult, errors: tuple[float, float] | None
) -> dict[str, object]:
    known = result.status is not Status.TOO_FEW_MATCHES
    return {
        "image0": str(request.image0),
        "image1": str(request.image1),
        "status": result.status.name,
        "rotation": result.rotation.tolist() if known else None,
        "translation": result.translation.tolist() if known else None,
        "essential": result.essential.tolist() if known else None,
        "median_parallax_deg": math.degrees(result.median_parallax) if known else None,
        "frontend": result.frontend,
        "second_asked": result.second is not None,
        "sieve": result.sieve,
        "matched": result.counts.matched,
        "inliers": int(result.inlier.sum()),
        "rotation_error_deg": errors[0] if errors else None,
        "translation_error_deg": errors[1] if errors else None,
        "timings_ms": dict(result.timings),
    }
