"""Front ends, matchers and sieves on the same posed images: accuracy, refusals, CPU time.

    python benchmarks/matchers.py SCENE... -c sift -c xfeat -c xfeat/nearest/none/0.9

A combination is FRONTEND[/MATCHER[/SIEVE[/RATIO]]]; what is left out is as by default. SCENE: a
folder of posed images, as for `msga dump`. The pairs are of four kinds:

- `posed`: two images of one place, whose motion is known;
- `apart`: images of two different places: there is no motion, any pose is wrong;
- `turned`: an image and the same as a camera would see it that has turned on the spot: the
  direction of the translation is unknown, status OK is wrong;
- `plane`: an image and the same as a camera would see it that has moved, were it a picture on a
  wall: two motions explain it, so a pose has to be the true one or not OK.

A pose is right within 10 degrees, and wrong beyond. A refusal of a `posed` pair is wrong where
another combination of the run is right.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from msga_ros.datasets.posed.base import PosedImage
from msga_ros.datasets.posed.selection import Selection, candidates
from msga_ros.datasets.posed.sources import open_scene
from msga_ros.evaluation.metrics import pose_auc
from msga_ros.frontend import Features
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.two_view.pipeline import Status, TwoViewPipeline

RIGHT_DEG = 10.0
_KEPT_FEATURES = 200  # some views of two scenes, of each front end
KINDS = ("posed", "apart", "turned", "plane")

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """An image, known by its key, and its camera."""

    key: str
    pixels: Image
    camera: Camera


@dataclass(frozen=True)
class Pair:
    """Two views; `rotation` and unit `translation` of `x1 = R x0 + t`, None: there is none."""

    kind: str
    view0: View
    view1: View
    rotation: Floats | None = None
    translation: Floats | None = None


@dataclass(frozen=True)
class Record:
    """What a combination said of a pair; `error`: degrees, infinite without a pose or a truth."""

    combination: str
    kind: str
    pair: str
    status: str
    error: float
    matched: int
    inliers: int
    sieve: str
    extraction: float  # CPU milliseconds of both views
    rest: float  # CPU milliseconds from the features to the pose

    @property
    def verdict(self) -> str:
        """Whether the pair got a right pose, a wrong one, or none."""
        if self.status != Status.OK.name:
            return "refused"
        return "right" if self.error < RIGHT_DEG else "wrong"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("-c", "--combination", action="append", required=True)
    parser.add_argument("--pairs", type=int, default=4, help="posed pairs of a scene")
    parser.add_argument("--others", type=int, default=1, help="of each other kind, a scene")
    parser.add_argument("--size", type=int, default=640, help="longest side of an image, pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the records there")
    options = parser.parse_args()
    pipelines = {text: _pipeline(text) for text in options.combination}
    records: list[Record] = []
    extraction = _Extraction()
    for pair in pairs(options.scenes, options.pairs, options.others, options.size, options.seed):
        records += judge(pair, pipelines, extraction)
        if options.json:
            options.json.write_text(json.dumps([asdict(one) for one in records], indent=1))
    print("\n".join(table(records)))


def _pipeline(text: str) -> TwoViewPipeline:
    names = ("frontend.name", "frontend.matcher", "sieve.name", "frontend.ratio")
    entries: dict[str, object] = dict(zip(names, text.split("/"), strict=False))
    if "frontend.ratio" in entries:
        entries["frontend.ratio"] = float(str(entries["frontend.ratio"]))
    return TwoViewPipeline.from_config(None, **entries)


def pairs(scenes: Sequence[Path], posed: int, others: int, size: int, seed: int) -> Iterator[Pair]:
    """Of each scene `posed` pairs, and `others` of each other kind."""
    generator = np.random.default_rng(seed)
    before: list[View] = []
    for folder in scenes:
        scene = open_scene(folder)
        known: dict[int, View] = {}
        for chosen in candidates(scene, Selection(), seed)[:posed]:
            images = [scene.images[number] for number in chosen]
            for number, image in zip(chosen, images, strict=True):
                if number not in known:
                    known[number] = _view(scene.name, image, size)
            motion = images[1].pose.relative_to(images[0].pose)
            direction = motion.translation / np.linalg.norm(motion.translation)
            views = (known[number] for number in chosen)
            yield Pair("posed", *views, motion.rotation, direction)
        mine = list(known.values())
        for one, other in list(zip(mine, before, strict=False))[:others]:
            yield Pair("apart", one, other)
        for one in mine[:others]:
            yield _turned(one, generator)
            yield _on_a_plane(one, generator)
        before = mine


def _view(scene: str, image: PosedImage, size: int) -> View:
    pixels = cv2.imread(str(image.path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise SystemExit(f"{image.path} cannot be read")
    height, width = pixels.shape[:2]
    scale = min(1.0, size / max(height, width))
    new = (round(width * scale), round(height * scale))
    shrink = np.diag([new[0] / width, new[1] / height, 1.0])
    camera = Camera(
        shrink @ (image.camera.k + _HALF_PIXEL) - _HALF_PIXEL,
        image.camera.distortion_model,
        image.camera.distortion,
        width=new[0],
        height=new[1],
    )
    smaller = np.asarray(cv2.resize(pixels, new, interpolation=cv2.INTER_AREA), np.uint8)
    return View(f"{scene} {image.name}", smaller, camera)


_HALF_PIXEL = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])


def _turned(view: View, generator: np.random.Generator) -> Pair:
    """By 5 to 25 degrees about any axis."""
    axis = generator.normal(size=3)
    angle = np.deg2rad(generator.uniform(5, 25))
    rotation = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_matrix()
    return Pair("turned", view, _warped(view, rotation, "turned"))


def _on_a_plane(view: View, generator: np.random.Generator) -> Pair:
    """The wall is at distance 1 in front of the first camera; the second has moved by 0.3."""
    direction = generator.normal(size=3) * (1.0, 1.0, 0.3)
    translation = direction / np.linalg.norm(direction)
    rotation = Rotation.from_rotvec(generator.normal(size=3) * np.deg2rad(6)).as_matrix()
    plane = rotation + 0.3 * np.outer(translation, (0.0, 0.0, 1.0))
    return Pair("plane", view, _warped(view, plane, "plane"), rotation, translation)


def _warped(view: View, change: Floats, key: str) -> View:
    """As a pinhole of the same intrinsics sees it after `change` of the rays."""
    k = view.camera.k
    homography = k @ change @ np.linalg.inv(k)
    height, width = view.pixels.shape[:2]
    seen = np.asarray(cv2.warpPerspective(view.pixels, homography, (width, height)), np.uint8)
    return View(f"{view.key} {key}", seen, Camera(k, width=width, height=height))


class _Extraction:
    """Features of the last views, and the CPU milliseconds that each took."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Features, float]] = {}

    def __call__(self, name: str, pipeline: TwoViewPipeline, view: View) -> tuple[Features, float]:
        key = (name, view.key)
        if key not in self._known:
            started = time.process_time()
            features = pipeline.extract(view.pixels)
            self._known[key] = (features, 1e3 * (time.process_time() - started))
        while len(self._known) > _KEPT_FEATURES:
            self._known.pop(next(iter(self._known)))
        return self._known[key]


def judge(
    pair: Pair, pipelines: dict[str, TwoViewPipeline], extraction: _Extraction
) -> Iterator[Record]:
    """Each combination on a pair; those of one front end share its features."""
    for text, pipeline in pipelines.items():
        name = text.split("/")[0]
        features0, spent0 = extraction(name, pipeline, pair.view0)
        features1, spent1 = extraction(name, pipeline, pair.view1)
        started = time.process_time()
        result = pipeline.relate(features0, features1, pair.view0.camera, pair.view1.camera)
        rest = 1e3 * (time.process_time() - started)
        error = np.inf
        if pair.rotation is not None and result.status is not Status.TOO_FEW_MATCHES:
            truth = (pair.rotation, pair.translation)
            error = max(pose_error_deg(result.rotation, result.translation, *truth, signed=True))
        yield Record(
            text,
            pair.kind,
            f"{pair.view0.key} - {pair.view1.key}",
            result.status.name,
            float(error),
            result.counts.matched,
            result.counts.geometric_inliers,
            result.sieve,
            spent0 + spent1,
            rest,
        )


def table(records: Sequence[Record]) -> Iterator[str]:
    """Markdown: a row a combination."""
    verdicts = " | ".join(f"{kind}: right/wrong/refused" for kind in KINDS)
    yield f"| combination | sieve | AUC@5/10/20 | {verdicts} | wrong refusals | CPU |"
    yield "|" + "---|" * (len(KINDS) + 5)
    known = {one.pair for one in records if one.verdict == "right"}
    combinations = list(dict.fromkeys(one.combination for one in records))
    base = 0.0
    for text in combinations:
        mine = [one for one in records if one.combination == text]
        posed = [one for one in mine if one.kind == "posed"]
        # A pose that is not OK is none.
        errors = [one.error if one.status == Status.OK.name else np.inf for one in posed]
        area = "/".join(f"{100 * one:.1f}" for one in pose_auc(errors))
        counts = [
            "/".join(
                str(sum(one.kind == kind and one.verdict == verdict for one in mine))
                for verdict in ("right", "wrong", "refused")
            )
            for kind in KINDS
        ]
        needless = sum(one.verdict == "refused" and one.pair in known for one in posed)
        cpu = float(np.median([one.extraction + one.rest for one in posed]))
        base = base or cpu
        cells = [text, posed[0].sieve, area, *counts, str(needless), f"{cpu / base:.2f}"]
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
