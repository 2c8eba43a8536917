"""The dump: which pairs, what is written, going on after a stop, any number of workers."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import h5py
import numpy as np
import pytest
import torch
from posed_layouts import FRAMES, View, rendered_views, write_colmap, write_published, write_scene
from shared_data import shared_path
from typer.testing import CliRunner

from msga_ros.cli import app
from msga_ros.cli.dump import Source
from msga_ros.datasets.dumps import DumpFile
from msga_ros.datasets.posed import matching
from msga_ros.datasets.posed.base import PosedImage, PosedImagesError, PosedScene
from msga_ros.datasets.posed.dump import DumpConfig, dump
from msga_ros.datasets.posed.executors import in_this_process, local, ray_cluster
from msga_ros.datasets.posed.files import round_to_bits
from msga_ros.datasets.posed.matching import Acceptance, Result, Task
from msga_ros.datasets.posed.selection import Selection, candidates
from msga_ros.datasets.posed.sources import KINDS, open_scene
from msga_ros.frontend.config import FrontendConfig
from msga_ros.geometry.camera import Camera
from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.epipolar import essential_from_pose, symmetric_epipolar_distance_squared
from msga_ros.two_view.chosen_stages import create_frontend

ROOT = Path(__file__).resolve().parents[3]
ANY = Acceptance(min_matches=1, min_parallax=0.0)
QUICK = DumpConfig(frontend=FrontendConfig(max_keypoints=200), acceptance=ANY, pairs=0)


@pytest.fixture(scope="module")
def views() -> list[View]:
    return rendered_views()


@pytest.fixture(scope="module")
def folder(views: list[View], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("scenes") / "yard", views)


@pytest.fixture(scope="module")
def scene(folder: Path) -> PosedScene:
    return open_scene(folder)


@pytest.fixture(scope="module")
def whole(scene: PosedScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dump of all pairs, made in one go."""
    path = tmp_path_factory.mktemp("dumps") / "whole.h5"
    dump([scene], path, QUICK)
    return path


def names(path: Path) -> list[str]:
    with DumpFile(path) as result:
        return [result.name(index) for index in range(len(result))]


def assert_same(path: Path, other: Path, rounding: float = 0.0) -> None:
    """All groups and names of both dumps are equal, number by number; ratios to a `rounding`."""
    assert names(path) == names(other)
    with h5py.File(path) as first, h5py.File(other) as second:
        numbers = {str(number) for number in range(len(first["xs"]))}
        groups = [group for group in first if isinstance(first[group], h5py.Group)]
        assert set(first) == set(second)
        for group in groups:
            assert set(first[group]) == set(second[group]) == numbers
            for key in first[group]:
                pair = first[group][key][:], second[group][key][:]
                relative = rounding if group in ("ratios", "distances") else 0.0
                np.testing.assert_allclose(*pair, rtol=relative, atol=0.0)


def test_the_layout_is_the_published_one(whole: Path, scene: PosedScene) -> None:
    with h5py.File(whole) as file, DumpFile(whole) as reader:
        groups = {"xs", "ys", "Rs", "ts", "ratios", "mutuals"}
        groups |= {"cx1s", "cy1s", "cx2s", "cy2s", "f1s", "f2s"}
        groups |= {"rotations", "log_scales", "distances"}
        assert set(file) == groups | {"names"}
        count = len(file["xs"]["0"][0])
        shapes = {group: file[group]["0"].shape for group in groups}
        assert shapes == {
            **dict.fromkeys(("cx1s", "cy1s", "cx2s", "cy2s"), (1,)),
            **{"xs": (1, count, 4), "ys": (count, 1), "Rs": (3, 3), "ts": (3, 1)},
            **dict.fromkeys(("ratios", "mutuals"), (count,)),
            **dict.fromkeys(("rotations", "log_scales", "distances"), (count,)),
            **{"f1s": (1, 2), "f2s": (1, 2)},
        }
        pair = reader[0]
        centre = [file[group]["0"][0] for group in ("cx1s", "cy1s")]
        np.testing.assert_allclose(centre, scene.images[0].camera.k[:2, 2], rtol=1e-6)
        assert pair.ratios.min() > 0.0 and pair.ratios.max() <= 1.0
        assert pair.ratios.max() > 0.95  # nothing was filtered out
        assert 0 < pair.mutuals.sum() < count
        settings = json.loads(file.attrs["settings"])
        assert settings["frontend"]["max_keypoints"] == 200
        assert file.attrs["pairs"] == len(reader) == len(scene) * (len(scene) - 1) // 2
    first, second = names(whole)[0].split()[1:]
    assert (first, second) == (scene.images[0].name, scene.images[1].name)


def test_evidence_is_that_of_the_front_end(scene: PosedScene, tmp_path: Path) -> None:
    """In pixels in the file, in focal lengths for the network."""
    images = (scene.images[0], enlarged(scene.images[1], tmp_path))
    settings = FrontendConfig(name="orb", max_keypoints=300, ratio=1.0, mutual=False)
    front_end = create_frontend(settings)
    views = [front_end.extract(cv2.imread(str(image.path))) for image in images]
    expected = front_end.match(*views)
    for bits in (0, 14):
        path = tmp_path / f"{bits}.h5"
        config = replace(QUICK, frontend=settings, bits=bits)
        dump([PosedScene("zoom", images)], path, config)
        with DumpFile(path) as reader:
            pair = reader[0]
        for written, column in (
            (pair.rotations, expected.rotation),
            (pair.log_scales, expected.log_scale),
            (pair.distances, expected.distance),
        ):
            assert written is not None and column is not None
            np.testing.assert_allclose(written, column, atol=2.0**-7 if bits else 1e-6)
        np.testing.assert_allclose(pair.focal1, 2 * pair.focal0)
        assert pair.log_scales is not None
        np.testing.assert_allclose(pair.evidence[:, 3], pair.log_scales - 1.0, atol=1e-6)


def enlarged(image: PosedImage, folder: Path) -> PosedImage:
    """The image with twice as many pixels along each side, and the camera that belongs to it."""
    pixels = cv2.imread(str(image.path))
    path = folder / "enlarged.png"
    cv2.imwrite(str(path), cv2.resize(pixels, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR))
    k = image.camera.k.copy()
    k[:2] *= 2.0
    k[:2, 2] += 0.5  # the centre of the top-left pixel stays at (0, 0)
    size = {"width": 2 * image.camera.width, "height": 2 * image.camera.height}
    return replace(image, path=path, camera=replace(image.camera, k=k, **size))


def test_the_motion_is_from_the_first_image_to_the_second(whole: Path, scene: PosedScene) -> None:
    poses = {image.name: image.pose for image in scene.images}
    with DumpFile(whole) as result:
        for pair in result:
            _, first, second = pair.name.split()
            motion = poses[second].relative_to(poses[first])
            np.testing.assert_allclose(pair.rotation, motion.rotation, atol=1e-6)
            direction = motion.translation / np.linalg.norm(motion.translation)
            np.testing.assert_allclose(pair.translation, direction, atol=1e-6)


def test_images_from_one_place_are_no_pair() -> None:
    """A tripod has no direction of motion that anything could be judged by."""
    places = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    camera = Camera.pinhole(500.0, 500.0, 320.0, 240.0, 640, 480)
    images = tuple(
        PosedImage(f"{i}.png", Path(f"{i}.png"), camera, Pose(np.eye(3), np.array(place)), i)
        for i, place in enumerate(places)
    )
    found = candidates(PosedScene("tripod", images), Selection(), seed=0)
    assert {tuple(pair) for pair in found.tolist()} == {(0, 2), (1, 2)}


def test_frames_angle_overlap_and_groups_choose_the_candidates(
    folder: Path, views: list[View], tmp_path: Path
) -> None:
    scene = open_scene(folder)
    frames = [image.frame for image in scene.images]

    def distances(selection: Selection, of: PosedScene = scene) -> set[int]:
        return {abs(frames[i] - frames[j]) for i, j in candidates(of, selection, seed=0)}

    assert distances(Selection()) == set(range(FRAMES))
    assert distances(Selection(min_frames=2, max_frames=3)) == {0, 2, 3}  # 0: stereo pairs
    turns = candidates(scene, Selection(max_angle=5.0), seed=0)
    assert 0 < len(turns) < len(candidates(scene, Selection(), seed=0))
    for i, j in turns:
        axes = [scene.images[n].pose.rotation[2] for n in (i, j)]
        assert np.degrees(np.arccos(np.clip(axes[0] @ axes[1], -1, 1))) < 5.0 + 1e-6
    paired = open_scene(write_scene(tmp_path / "pairs", views, pairs_only=True))
    assert distances(Selection(), paired) == {0}
    assert len(candidates(paired, Selection(), seed=0)) == FRAMES
    # Collections without an order: what they share counts, not their numbers.
    model = open_scene(write_colmap(tmp_path / "model", views, binary=True))
    near = candidates(model, Selection(max_frames=1, min_overlap=0.6), seed=0)
    assert len(near) == FRAMES  # the two views of a moment share all, others half or nothing
    folder = write_published(tmp_path, views)
    many = candidates(open_scene(folder), Selection(min_overlap=70.0), seed=0)
    assert {abs(frames[i] - frames[j]) for i, j in many} == {0, 1}
    with pytest.raises(PosedImagesError, match="max_angle"):
        Selection(max_angle=0.0)


def test_the_choice_depends_on_the_seed_alone(scene: PosedScene, tmp_path: Path) -> None:
    chosen = []
    for seed in (0, 0, 1):
        path = tmp_path / f"{len(chosen)}.h5"
        dump([scene], path, replace(QUICK, pairs=4, seed=seed))
        chosen.append(names(path))
    assert chosen[0] == chosen[1] != chosen[2]
    assert all(len(set(names)) == 4 for names in chosen)


def test_pairs_that_do_not_show_their_motion_are_left_out(
    scene: PosedScene, tmp_path: Path
) -> None:
    """Wrong poses: the matches contradict them. Others take the place of what is left out."""
    wrong = [
        replace(image, pose=scene.images[0].pose if image.frame == 2 else image.pose)
        for image in scene.images
    ]
    broken = replace(scene, images=tuple(wrong))
    config = replace(QUICK, acceptance=Acceptance(min_matches=30, min_parallax=0.5), pairs=12)
    (summary,) = dump([broken], tmp_path / "some.h5", config)
    assert summary.kept == 12 and summary.matched > 12
    assert sum(summary.rejected.values()) == summary.matched - summary.kept
    contradicting = [n for n in names(tmp_path / "some.h5") if "_002.png" in n]
    assert contradicting == []
    far = replace(QUICK, acceptance=Acceptance(min_matches=10, min_parallax=45.0))
    with pytest.raises(PosedImagesError, match="too little parallax"):
        dump([scene], tmp_path / "none.h5", far)
    assert not (tmp_path / "none.h5").exists()


def test_an_image_that_cannot_be_used_costs_only_its_pairs(
    views: list[View], tmp_path: Path
) -> None:
    folder = write_scene(tmp_path / "yard", views)
    (folder / "images" / "left_001.png").write_bytes(b"no image")
    cv2.imwrite(str(folder / "images" / "left_003.png"), np.zeros((10, 10), np.uint8))
    (summary,) = dump([open_scene(folder)], tmp_path / "out.h5", QUICK)
    others = 2 * FRAMES - 1
    assert summary.rejected["image cannot be read"] >= others - 1
    assert summary.rejected["image is not of the size that its calibration is for"] >= others - 1
    assert summary.kept == (others - 1) * (others - 2) // 2


def test_a_stopped_dump_goes_on_where_it_was(
    scene: PosedScene, whole: Path, tmp_path: Path
) -> None:
    path = tmp_path / "out.h5"

    def stop(done: int, total: int, kept: int) -> None:
        if done >= total // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dump([scene], path, QUICK, advance=stop)
    assert not path.exists()
    # What a kill in the middle of a write leaves behind.
    (tmp_path / "out.h5.parts" / "part-0-1.tmp").write_bytes(b"half")
    with pytest.raises(PosedImagesError, match="other settings"):
        dump([scene], path, replace(QUICK, bits=16))
    worked = 0

    def counted(tasks: Sequence[Task]) -> Iterator[list[Result]]:
        nonlocal worked
        for results in in_this_process(tasks):
            worked += len(results)
            yield results

    dump([scene], path, QUICK, counted)
    total = len(names(whole))
    assert total / 2 < worked < total * 0.7
    assert_same(path, whole)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.h5"]


def test_a_killed_command_goes_on_where_it_was(folder: Path, whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.h5"
    arguments = ["dump", str(folder), "-o", str(path), "--pairs", "0", "--min-matches", "1"]
    arguments += ["--min-parallax", "0", "--set", "frontend.max_keypoints=200", "--workers", "1"]
    command = [sys.executable, "-m", "msga_ros.cli", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    parts = tmp_path / "out.h5.parts"
    while process.poll() is None and len(list(parts.glob("part-*.h5"))) < 5:
        time.sleep(0.005)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    if path.exists():
        pytest.skip("it was done before it could be killed")
    done = len(list(parts.glob("part-*.h5")))
    assert done >= 5
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert_same(path, whole)
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2 and "--overwrite" in again.output


def test_workers_start_without_torch() -> None:
    """It takes seconds to import and hundreds of megabytes, in each of them."""
    code = "import sys, msga_ros.datasets.posed.matching; print('torch' in sys.modules)"
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert printed.strip() == "False"


def test_residuals_are_the_distances_that_the_network_is_trained_with(whole: Path) -> None:
    with DumpFile(whole) as result:
        pair = result[0]
    motion = (torch.from_numpy(pair.rotation), torch.from_numpy(pair.translation))
    expected = symmetric_epipolar_distance_squared(
        torch.from_numpy(pair.correspondences.astype(np.float64)), essential_from_pose(*motion)
    )
    np.testing.assert_allclose(pair.residual, expected.numpy(), rtol=1e-3, atol=1e-12)


def test_two_processes_make_the_same_dump(scene: PosedScene, whole: Path, tmp_path: Path) -> None:
    dump([scene], tmp_path / "out.h5", QUICK, local(2))
    assert_same(tmp_path / "out.h5", whole)


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra: ray")
def test_a_ray_cluster_makes_the_same_dump(scene: PosedScene, whole: Path, tmp_path: Path) -> None:
    import ray

    try:
        dump([scene], tmp_path / "out.h5", QUICK, ray_cluster("local", 2))
        assert ray.is_initialized()
    finally:
        ray.shutdown()
    # Ray gives each worker one OpenMP thread; another number of them sums in another order.
    assert_same(tmp_path / "out.h5", whole, rounding=1e-3)


def test_without_ray_the_extra_is_named(
    scene: PosedScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PosedImagesError, match=r"msga_ros\[ray\]"):
        dump([scene], tmp_path / "out.h5", QUICK, ray_cluster("auto", 0))


def test_rounded_dumps_are_small_and_hardly_differ(
    scene: PosedScene, whole: Path, tmp_path: Path
) -> None:
    path = tmp_path / "small.h5"
    dump([scene], path, replace(QUICK, bits=16, residuals=False))
    assert path.stat().st_size < 0.75 * whole.stat().st_size
    with DumpFile(path) as small, DumpFile(whole) as exact:
        for one, other in zip(small, exact, strict=True):
            step = one.correspondences * 2.0**16
            assert (step == np.round(step)).all()
            assert np.abs(one.correspondences - other.correspondences).max() <= 2.0**-17
            same = (one.residual < 1e-4) == (other.residual < 1e-4)  # computed by the reader
            assert same.mean() > 0.99
    with h5py.File(path) as file:
        assert "ys" not in file
    values = np.array([0.123456789, -1.5], np.float32)
    assert round_to_bits(values, 0) is values
    with pytest.raises(PosedImagesError, match=r"8\.\.20"):
        replace(QUICK, bits=3)


def test_pairs_can_be_listed(scene: PosedScene, tmp_path: Path) -> None:
    listing = tmp_path / "pairs.txt"
    listing.write_text(
        "# two pairs\nyard left_003.png left_001.png\nleft_000.png right_000.png\n"
        "elsewhere a.png b.png\n"
    )
    config = replace(QUICK, pair_list=listing)
    dump([scene], tmp_path / "out.h5", config)
    expected = ["yard left_000.png right_000.png", "yard left_003.png left_001.png"]
    assert names(tmp_path / "out.h5") == expected
    # The names of a dump are a list, too.
    dump([scene], tmp_path / "again.h5", replace(QUICK, pair_list=tmp_path / "out.h5"))
    assert_same(tmp_path / "again.h5", tmp_path / "out.h5")
    listing.write_text("left_000.png absent.png\n")
    with pytest.raises(PosedImagesError, match=r"no image absent\.png"):
        dump([scene], tmp_path / "none.h5", config)


def test_several_collections_in_one_dump(
    scene: PosedScene, views: list[View], tmp_path: Path
) -> None:
    model = open_scene(write_colmap(tmp_path / "model", views, binary=False))
    config = replace(QUICK, pairs=3)
    summaries = dump([scene, model], tmp_path / "out.h5", config)
    assert [(s.name, s.kept) for s in summaries] == [("yard", 3), ("model", 3)]
    with DumpFile(tmp_path / "out.h5") as result:
        assert [pair.scene for pair in result] == ["yard"] * 3 + ["model"] * 3
    with pytest.raises(PosedImagesError, match="several collections are called yard"):
        dump([scene, scene], tmp_path / "twice.h5", config)


@pytest.mark.parametrize("name", ["orb", "akaze"])
def test_any_front_end(name: str, scene: PosedScene, tmp_path: Path) -> None:
    frontend = FrontendConfig(name=name, max_keypoints=300, ratio=0.8, mutual=True)
    dump([scene], tmp_path / "out.h5", replace(QUICK, frontend=frontend, pairs=2))
    with DumpFile(tmp_path / "out.h5") as result:
        for pair in result:
            assert (pair.residual < 1e-4).sum() > 10
            assert pair.ratios.max() > 0.8 and not pair.mutuals.all()  # filters are off


def test_the_matcher_without_a_detector(scene: PosedScene, tmp_path: Path) -> None:
    frontend = FrontendConfig(name="msga_dense", device="cpu", max_keypoints=300)
    dump([scene], tmp_path / "out.h5", replace(QUICK, frontend=frontend, pairs=1))
    with DumpFile(tmp_path / "out.h5") as result:
        (pair,) = result
        assert (pair.residual < 1e-4).mean() > 0.5 and len(pair.residual) > 50
        assert ((pair.ratios >= 0.5) & (pair.ratios <= 1)).all()  # 1 - confidence / 2


def test_mistakes_are_one_clear_line(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    for arguments, text in [
        ([tmp_path, "-o", out], "no collection of posed images"),
        ([folder, "-o", tmp_path / "absent" / "out.h5"], "folder of the dump not found"),
        ([folder, "-o", out, "--max-angle", "-1"], "max_angle"),
        ([folder, "-o", out, "--source", "kitti"], "cannot be read"),
        ([folder, "-o", out, "--frontend", "magic"], "magic"),
        ([folder, "-o", out, "--pair-list", tmp_path / "absent.txt"], "list of pairs not found"),
        ([folder, folder, "-o", out, "--images", folder], "single collection"),
        ([folder, "-o", out, "--bits", "50"], "8..20"),
    ]:
        result = CliRunner().invoke(app, ["dump", *map(str, arguments), "--workers", "1"])
        assert result.exit_code == 2, result.output
        (line,) = result.output.splitlines()
        assert line.startswith("msga: ") and text in line
    assert not out.exists()


def test_the_sources_of_the_command_are_the_readers() -> None:
    assert {source.value for source in Source} == {"auto", *KINDS}


@pytest.mark.parametrize("place", ["lund_door", "rgbd_tsdf_oldsample"])
def test_real_images_give_the_matches_that_others_found(place: str, tmp_path: Path) -> None:
    """Pairs of the validation dump, matched again from their images: the same statistics."""
    known = shared_path("data/val.h5")
    with DumpFile(known) as reference:
        index = {reference.name(n): n for n in range(len(reference))}
        chosen = [name for name in index if name.startswith(f"{place} ")][:2]
        listing = tmp_path / "pairs.txt"
        listing.write_text("\n".join(chosen) + "\n")
        config = DumpConfig(
            frontend=FrontendConfig(max_image_size=1024), pair_list=listing, acceptance=ANY
        )
        dump([open_scene(shared_path(f"data/scenes/{place}"))], tmp_path / "out.h5", config)
        with DumpFile(tmp_path / "out.h5") as result:
            assert len(result) == len(chosen) == 2
            for pair in result:
                other = reference[index[pair.name]]
                np.testing.assert_allclose(pair.rotation, other.rotation, atol=1e-6)
                np.testing.assert_allclose(pair.translation, other.translation, atol=1e-5)
                for threshold in (1e-4, 1e-5):
                    share = (pair.residual < threshold).mean()
                    assert share == pytest.approx((other.residual < threshold).mean(), abs=0.02)
                trusted, known_ones = (
                    p.residual[(p.ratios < 0.8) & (p.residual < 1e-4)] for p in (pair, other)
                )
                assert len(trusted) == pytest.approx(len(known_ones), rel=0.15)
                sizes = np.sqrt([np.median(trusted), np.median(known_ones)]) * pair.focal0[0]
                assert abs(sizes[0] - sizes[1]) < 0.15  # pixels


def test_only_distinctive_matches_speak_for_a_pair(views: list[View]) -> None:
    """Those whose ratio is too large do not count; where no ratio is known, all do."""
    front_end = create_frontend(QUICK.frontend)
    found = [front_end.extract(view.image) for view in views[:2]]
    matches = front_end.match(*found)
    images = [
        PosedImage(str(number), Path(f"{number}.png"), view.camera, view.pose, number)
        for number, view in enumerate(views[:2])
    ]
    matcher = SimpleNamespace(
        features=lambda image: found[int(image.path.stem)],
        frontend=SimpleNamespace(match=lambda *_: matches),
    )

    def rejected(ratio: float) -> str:
        accepted = Acceptance(min_matches=5, min_parallax=0.0, ratio=ratio)
        return matching._match(matching.Job("pair", *images), matcher, accepted).rejected  # type: ignore[arg-type]

    assert rejected(0.95) == ""
    assert rejected(float(matches.ratio.min())) == "too few consistent matches"
    matches = replace(matches, ratio=None)
    assert rejected(0.01) == ""
