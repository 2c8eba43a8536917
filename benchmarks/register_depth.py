"""Depth of a sensor beside the colour camera, carried over to colour: a folder of TUM RGB-D.

    python benchmarks/register_depth.py FOLDER OUT [--every 2] [--frames 300] [--depth-focal 585]
        [--baseline 0.025]
    msga vo OUT --camera 521,523.3,319.5,239.5 --depth-scale 1000

FOLDER is laid out as 7-Scenes: `frame-NNNNNN.color.jpg` (or .png), `.depth.png` of 16 bits in
millimetres (0 or 65535: none) and `.pose.txt`, the depth camera in the world, 4x4. 7-Scenes gives
no calibration of its colour camera: the defaults are the red kitchen's by structure from motion,
the depth camera's as published, and both cameras parallel, a Kinect's 25 mm apart. What is wrong in
that is in the results.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from msga_ros.geometry.camera import Camera

_RATE = 30.0  # frames a second of the sensor
_FARTHEST = 60_000  # mm; 7-Scenes has 65535 for none
_SIZE = (640, 480)


def main() -> None:
    """Write rgb.txt, depth.txt, groundtruth.txt and the pictures that they list."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--colour", default="521,523.3,319.5,239.5", help="fx,fy,cx,cy")
    parser.add_argument("--depth-focal", type=float, default=585.0)
    parser.add_argument("--baseline", type=float, default=0.025, help="m, depth left of colour")
    options = parser.parse_args()
    colour = Camera.pinhole(*map(float, options.colour.split(",")))
    sensor = Camera.pinhole(options.depth_focal, options.depth_focal, 320.0, 240.0)
    shift = np.array([-options.baseline, 0.0, 0.0])  # x_colour = x_depth + shift
    for name in ("rgb", "depth"):
        (options.out / name).mkdir(parents=True, exist_ok=True)
    lists: dict[str, list[str]] = {"rgb": [], "depth": [], "groundtruth": []}
    for path in sorted(options.folder.glob("frame-*.pose.txt"))[:: options.every][: options.frames]:
        stem = path.name.removesuffix(".pose.txt")
        picture = next(path.parent.glob(f"{stem}.color.*"))
        stamp = f"{int(stem.removeprefix('frame-')) / _RATE:.6f}"
        depth = cv2.imread(str(path.parent / f"{stem}.depth.png"), cv2.IMREAD_UNCHANGED)
        registered = registered_depth(depth, sensor, colour, shift)
        assert cv2.imwrite(str(options.out / "depth" / f"{stem}.png"), registered)
        link = options.out / "rgb" / picture.name
        link.unlink(missing_ok=True)
        os.symlink(picture.absolute(), link)
        pose = np.loadtxt(path)
        place = pose[:3, 3] - pose[:3, :3] @ shift
        turn = Rotation.from_matrix(pose[:3, :3]).as_quat()
        lists["rgb"].append(f"{stamp} rgb/{picture.name}")
        lists["depth"].append(f"{stamp} depth/{stem}.png")
        lists["groundtruth"].append(" ".join(map(str, (stamp, *place, *turn))))
    for name, lines in lists.items():
        (options.out / f"{name}.txt").write_text("\n".join(lines) + "\n")
    print(f"{options.out}: {len(lists['rgb'])} frames")


def registered_depth(
    depth: NDArray[np.uint16], sensor: Camera, colour: Camera, shift: NDArray[np.float64]
) -> NDArray[np.uint16]:
    """Depth (H, W) in mm as the colour camera, `shift` (3,) m beside, sees it; 0 for none.

    Each point goes to the four pixels around it, the nearest last: what is behind is hidden.
    """
    rows, columns = np.nonzero((depth > 0) & (depth < _FARTHEST))
    metres = depth[rows, columns].astype(np.float64) / 1000.0
    rays = sensor.normalize(np.column_stack([columns, rows]))
    points = np.column_stack([rays * metres[:, None], metres]) + shift
    order = np.argsort(-metres)
    seen = np.floor(colour.project(points[:, :2] / points[:, 2:]))[order].astype(np.int64)
    millimetres = depth[rows, columns][order]
    found = np.zeros(_SIZE[::-1], np.uint16)
    for across, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = seen[:, 0] + across, seen[:, 1] + down
        inside = (x >= 0) & (x < _SIZE[0]) & (y >= 0) & (y < _SIZE[1])
        found[y[inside], x[inside]] = millimetres[inside]
    return found


if __name__ == "__main__":
    main()
