"""Real image pairs with known relative poses, for tests: see `../shared/data/README.md`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from shared_data import shared_path

from msga_ros.geometry.camera import Camera

# Places that no network of ours was trained on: facades, a door, a desk, a road and a machine hall;
# from nearly frontal to strongly turned views, and stereo pairs.
PAIRS = [
    ("strecha_fountain_p11", "0000.jpg", "0001.jpg"),
    ("strecha_fountain_p11", "0003.jpg", "0005.jpg"),
    ("strecha_fountain_p11", "0008.jpg", "0009.jpg"),
    ("strecha_entry_p10", "0000.jpg", "0001.jpg"),
    ("strecha_entry_p10", "0003.jpg", "0004.jpg"),
    ("lund_door", "DSC_0001.jpg", "DSC_0002.jpg"),
    ("lund_door", "DSC_0007.jpg", "DSC_0008.jpg"),
    ("imc_reichstag", "05534141_6340060522.jpg", "05545431_1341290848.jpg"),
    ("imc_reichstag", "06030835_119872882.jpg", "06229406_8584869180.jpg"),
    ("rgbd_tsdf_oldsample", "frame-000055.color.jpg", "frame-000065.color.jpg"),
    ("kitti_stereo_seq2", "left_000005.jpg", "left_000006.jpg"),
    ("kitti_stereo_seq2", "left_000005.jpg", "right_000005.jpg"),
    (
        "euroc_v101_stereo_micro",
        "cam0_1403715274312143104.jpg",
        "cam1_1403715274312143104.jpg",
    ),
]


@dataclass(frozen=True)
class PosedPair:
    """Two grey images, their cameras, and the true motion `x1 = R x0 + t`, t of length 1."""

    name: str
    image0: NDArray[np.uint8]
    image1: NDArray[np.uint8]
    camera0: Camera
    camera1: Camera
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    def swapped(self) -> PosedPair:
        """The same pair, seen the other way round."""
        inverse = self.rotation.T
        return PosedPair(
            f"{self.name}, swapped",
            self.image1,
            self.image0,
            self.camera1,
            self.camera0,
            inverse,
            -inverse @ self.translation,
        )


@lru_cache(maxsize=32)
def load_pair(scene: str, file0: str, file1: str) -> PosedPair:
    """A pair of the shared scenes; skips the test where they are absent."""
    folder = shared_path(f"data/scenes/{scene}")
    records = json.loads((folder / "scene.json").read_text())["images"]
    views = {record["file"]: record for record in records}
    view0, view1 = views[file0], views[file1]
    rotation = _array(view1, "R") @ _array(view0, "R").T
    translation = _array(view1, "t").ravel() - rotation @ _array(view0, "t").ravel()
    return PosedPair(
        f"{scene}: {file0}, {file1}",
        _read(folder / "images" / file0),
        _read(folder / "images" / file1),
        _camera(view0),
        _camera(view1),
        rotation,
        translation / np.linalg.norm(translation),
    )


def _array(view: dict[str, Any], entry: str) -> NDArray[np.float64]:
    return np.array(view[entry], np.float64)


def _camera(view: dict[str, Any]) -> Camera:
    return Camera(_array(view, "K"), width=view["width"], height=view["height"])


def _read(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert image is not None, path
    return np.asarray(image, np.uint8)
