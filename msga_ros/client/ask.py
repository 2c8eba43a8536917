"""`msga_client`: asks the running node about two image files, and shows how a program does it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from msga_ros.client.client import MsgaClient
from msga_ros.client.errors import ClientError
from msga_ros.geometry.camera import Camera, CameraError
from msga_ros.geometry.pose import invert_pose, rotation_angle_deg
from msga_ros.two_view.result import Status


def main(args: Sequence[str] | None = None) -> int:
    """Ask once; 0 where there is a pose, 1 where there is none, 2 where there is no answer."""
    parser = argparse.ArgumentParser("msga_client", description=__doc__)
    parser.add_argument("reference", type=Path, help="JPEG or PNG")
    parser.add_argument("current", type=Path, help="JPEG or PNG of the same camera")
    parser.add_argument("--camera", required=True, help="fx,fy,cx,cy in pixels, no distortion")
    parser.add_argument("--name", default="/msga", help="of the node")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds")
    asked = parser.parse_args(args)
    try:
        fx, fy, cx, cy = (float(value) for value in asked.camera.split(","))
        camera = Camera.pinhole(fx, fy, cx, cy)
        images = [path.read_bytes() for path in (asked.reference, asked.current)]
        with MsgaClient(name=asked.name, timeout=asked.timeout) as client:
            result = client.relate_images(images[0], images[1], camera, camera)
    except (ClientError, CameraError, OSError, ValueError) as error:
        print(f"msga_client: {error}", file=sys.stderr)
        return 2
    counts = result.counts
    print(
        f"{result.status.name}: {counts.geometric_inliers} of {counts.matched} matches agree, "
        f"{result.timings['round_trip']:.0f} ms"
    )
    if result.status is Status.TOO_FEW_MATCHES:
        return 1
    _, position = invert_pose(result.rotation, result.translation)
    print(f"turned by {rotation_angle_deg(result.rotation):.2f} degrees")
    if result.status is Status.OK:
        print(f"moved towards {np.round(position, 3)} (x right, y down, z forward; no length)")
    return 0
