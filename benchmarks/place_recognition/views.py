"""The photographs of a split, the places that go under two names, and features kept on disk."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from msga_ros.datasets.posed.sources import open_scene
from msga_ros.frontend.base import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose
from msga_ros.loops.keyframe import Keyframe
from msga_ros.two_view.pipeline import TwoViewPipeline

# Places that show the same under two names, as one sees on the photographs. A loop between two of
# them is neither right nor wrong: no pose of one is known in the other.
ALIASES = (
    ("sfm_sokratg_relief", "sfm_3dv_relief"),
    ("g1_tensorf_mydata", "g2_stitch_toy"),
)


@dataclass(frozen=True)
class View:
    """A photograph; `place`: its own name of the place; `shows`: the first of the place's names."""

    place: str
    shows: str
    name: str
    path: Path
    camera: Camera
    pose: Pose

    @property
    def key(self) -> str:
        """Unique among all photographs."""
        return f"{self.place}/{self.name}"


def views_of(data: Path, split: str) -> list[View]:
    """All photographs of a split, place by place."""
    with (data / "places.csv").open(newline="", encoding="utf-8") as file:
        places = [row["name"] for row in csv.DictReader(file) if row["split"] == split]
    first = {name: names[0] for names in ALIASES for name in names}
    return [
        View(place, first.get(place, place), one.name, one.path, one.camera, one.pose)
        for place in places
        for one in open_scene(data / "places" / place).images
    ]


class FeatureFolder:
    """Features of a front end, extracted once; `milliseconds` of CPU time that each took."""

    def __init__(self, folder: Path, pipeline: TwoViewPipeline) -> None:
        self._folder = folder
        self._pipeline = pipeline
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, view: View) -> tuple[Features, float]:
        """Features without what belongs to a device, and the CPU time in ms."""
        path = self._folder / (view.key.replace("/", "+") + ".keyframe")
        if path.is_file():
            kept = Keyframe.from_bytes(path.read_bytes())
            return kept.features, kept.stamp
        pixels = np.asarray(cv2.imread(str(view.path), cv2.IMREAD_GRAYSCALE))
        started = time.process_time()
        features = replace(self._pipeline.extract(pixels), payload=None)
        spent = 1e3 * (time.process_time() - started)
        nowhere = np.zeros(1, np.float32)  # no global descriptor is kept
        part = path.with_suffix(".part")
        part.write_bytes(Keyframe(view.key, spent, view.camera, features, nowhere).to_bytes())
        part.replace(path)
        return features, spent
