"""What readers of posed images refuse: too many numbers, no rotations, lines that are missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from posed_layouts import LAYOUTS, View, rendered_views

from msga_ros.datasets.posed import euroc, kitti, scene_json, tum
from msga_ros.datasets.posed.base import PosedImagesError
from msga_ros.datasets.posed.colmap import read_images_text
from msga_ros.datasets.posed.sources import open_scene
from msga_ros.datasets.sequences.base import LEFT, SequenceError
from msga_ros.datasets.sequences.folder import FolderSequence
from msga_ros.foreign_text import MOST_CHARACTERS, shown


@pytest.fixture(scope="module")
def views() -> list[View]:
    return rendered_views()


def written(tmp_path: Path, name: str, views: list[View]) -> Path:
    layout = LAYOUTS[name]
    chosen = views if layout.stereo else [view for view in views if view.side == LEFT]
    return layout.write(tmp_path / layout.folder, chosen)


def change_line(path: Path, number: int, change: Callable[[list[str]], list[str]]) -> None:
    """Change the words of a line, counted from 1."""
    separator = "," if path.suffix == ".csv" else " "
    lines = path.read_text().splitlines()
    lines[number - 1] = separator.join(change(lines[number - 1].split(separator)))
    path.write_text("\n".join(lines) + "\n")


def pose_file(folder: Path, name: str) -> Path:
    if name == "kitti":
        return next((folder.parents[1] / "poses").glob("*.txt"))
    if name == "tum":
        return folder / "groundtruth.txt"
    return next(folder.rglob("state_groundtruth_estimate0/data.csv"))


def first_pose(path: Path) -> int:
    lines = path.read_text().splitlines()
    return 1 + next(number for number, line in enumerate(lines) if not line.startswith("#"))


READERS = {"kitti": kitti, "tum": tum, "euroc": euroc}


@pytest.mark.parametrize("extra", [1, -1, 400])
@pytest.mark.parametrize("name", READERS)
def test_another_count_of_numbers_is_named_with_file_and_line(
    name: str, extra: int, views: list[View], tmp_path: Path
) -> None:
    folder = written(tmp_path, name, views)
    path = pose_file(folder, name)
    line = first_pose(path) + 1
    change_line(path, line, lambda words: [*words, *["0.5"] * extra] if extra > 0 else words[:-1])
    count = len(path.read_text().splitlines()[line - 1].replace(",", " ").split())
    camera = views[0].camera if name == "tum" else None
    with pytest.raises(PosedImagesError) as caught:
        open_scene(folder, camera=camera)
    message = str(caught.value)
    assert f"{path}, line {line}: " in message
    assert f"not {count - (name == 'euroc')} words" in message
    assert len(message) < 600


@pytest.mark.parametrize("rotation", [np.zeros((3, 3)), 2 * np.eye(3), -np.eye(3)])
def test_matrices_of_kitti_that_are_no_rotation(
    rotation: np.ndarray, views: list[View], tmp_path: Path
) -> None:
    folder = written(tmp_path, "kitti", views)
    path = pose_file(folder, "kitti")
    matrix = np.column_stack((rotation, np.ones(3)))
    change_line(path, 2, lambda words: [str(value) for value in matrix.ravel()])
    with pytest.raises(PosedImagesError, match=r"line 2: .*is no rotation"):
        open_scene(folder)


@pytest.mark.parametrize("name", ["tum", "euroc"])
def test_quaternions_of_zeros(name: str, views: list[View], tmp_path: Path) -> None:
    folder = written(tmp_path, name, views)
    path = pose_file(folder, name)
    line = first_pose(path)
    change_line(path, line, lambda words: [*words[:4], "0", "0", "0", "0", *words[8:]])
    with pytest.raises(PosedImagesError, match=f"line {line}: .* is no quaternion"):
        open_scene(folder, camera=views[0].camera if name == "tum" else None)


@pytest.mark.parametrize(
    "spoilt", [np.zeros((3, 3)), np.diag([1.0, 1.0, -1.0]), np.full((3, 3), np.nan)]
)
def test_rotations_of_a_scene(spoilt: np.ndarray, views: list[View], tmp_path: Path) -> None:
    folder = written(tmp_path, "scene", views)
    path = folder / "scene.json"
    document = json.loads(path.read_text())
    document["images"][1]["R"] = spoilt.tolist()
    path.write_text(json.dumps(document))
    with pytest.raises(PosedImagesError, match=r"scene\.json: images\[1\].*is no rotation"):
        open_scene(folder)
    with pytest.raises(SequenceError, match=r"scene\.json: images\[1\].*is no rotation"):
        FolderSequence(folder, stereo=False)
    document["images"][1]["R"] = np.eye(3, 4).tolist()
    path.write_text(json.dumps(document))
    with pytest.raises(PosedImagesError, match=r"images\[1\].*12"):
        open_scene(folder)


def test_rotations_of_the_published_folders(views: list[View], tmp_path: Path) -> None:
    folder = written(tmp_path, "published", views)
    with h5py.File(folder / "calibration" / "1.h5", "a") as file:
        file["R"][...] = 0.0
    with pytest.raises(PosedImagesError, match=r"1\.h5: .*is no rotation"):
        open_scene(folder)


def test_the_rotation_of_a_camera_on_its_body(views: list[View], tmp_path: Path) -> None:
    folder = written(tmp_path, "euroc", views)
    path = next(folder.rglob("cam0/sensor.yaml"))
    description = yaml.safe_load(path.read_text())
    data = description["T_BS"]["data"]
    description["T_BS"]["data"] = [2 * value for value in data[:12]] + data[12:]
    path.write_text(yaml.safe_dump(description))
    with pytest.raises(PosedImagesError, match=r"sensor\.yaml.*no rotation"):
        open_scene(folder)


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["kitti", "tum", "euroc", "scene", "colmap"])
def test_a_byte_order_mark_does_no_harm(
    name: str, mark: str, views: list[View], tmp_path: Path
) -> None:
    folder = written(tmp_path, name, views)
    camera = views[0].camera if name == "tum" else None
    expected = open_scene(folder, camera=camera)
    for path in tmp_path.rglob("*"):
        if path.suffix in (".txt", ".csv", ".json"):
            path.write_bytes(path.read_text().encode(mark))
    found = open_scene(folder, camera=camera)
    assert [image.name for image in found.images] == [image.name for image in expected.images]
    np.testing.assert_array_equal(found.images[-1].pose.rotation, expected.images[-1].pose.rotation)
    if name == "scene":
        assert len(FolderSequence(folder, stereo=False)) > 0


def images_text(tmp_path: Path, *lines: str) -> Path:
    (tmp_path / "images.txt").write_text("# comment\n" + "\n".join(lines) + "\n")
    return tmp_path


FIRST = "1 1 0 0 0 0.5 0 2 1 first.jpg"
SECOND = "2 1 0 0 0 0 0 0 1 second one.jpg"


def test_images_without_lines_of_points_are_named(tmp_path: Path) -> None:
    """As some exporters write them; the format has two lines an image."""
    for lines in ((FIRST, SECOND), (FIRST, "3 1 0 0 0 0 0 0 1 x y.jpg", SECOND)):
        with pytest.raises(PosedImagesError, match=r"first\.jpg: each image has two lines"):
            list(read_images_text(images_text(tmp_path, *lines)))
    with pytest.raises(PosedImagesError, match=r"second one\.jpg: each image has two lines"):
        list(read_images_text(images_text(tmp_path, FIRST, "", SECOND, FIRST)))


@pytest.mark.parametrize("points", ["", "1.5 2.5 -1 3 4 7 5 6 7"])
def test_images_with_two_lines(points: str, tmp_path: Path) -> None:
    found = list(read_images_text(images_text(tmp_path, FIRST, points, SECOND)))
    assert [name for name, *_ in found] == ["first.jpg", "second one.jpg"]
    assert found[0][3].tolist() == ([7] if points else [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1 1 0 0 0 0 0 0 1", "ten entries"),
        ("1 0 0 0 0 0 0 0 1 a.jpg", "no quaternion"),
        ("1 1 0 0 0 0 0 0 one a.jpg", "'one' is no whole number"),
        ("1 1 0 0 0 0 nan 0 1 a.jpg", "7 numbers"),
    ],
)
def test_what_is_wrong_in_a_line_of_an_image(line: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(PosedImagesError, match=rf"images\.txt, line 2, .*{reason}"):
        list(read_images_text(images_text(tmp_path, line, "")))


def test_binary_models_that_claim_too_much_or_end_early(views: list[View], tmp_path: Path) -> None:
    folder = written(tmp_path, "colmap, binary", views)
    path = next(folder.rglob("images.bin"))
    whole = path.read_bytes()
    for data in (
        (2**60).to_bytes(8, "little") + whole[8:],
        whole[:-5],
        whole[:80],
        whole[:7],
        whole.replace(b"\0", b"\1"),
    ):
        path.write_bytes(data)
        with pytest.raises(PosedImagesError, match=r"sparse|model|images\.bin|corrupt"):
            open_scene(folder)


def test_deep_json_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "scene.json").write_text("[" * 100_000)
    for reader in (scene_json.read, lambda folder: FolderSequence(folder, stereo=False)):
        with pytest.raises((PosedImagesError, SequenceError), match=r"scene\.json"):
            reader(tmp_path)


def test_foreign_text_is_one_line_of_bounded_length() -> None:
    assert shown("plain 'text'") == "plain 'text'"
    assert shown("two\nlines\x1b[31m") == "two lines\\x1b[31m"
    assert len(shown("x" * 10**6)) == MOST_CHARACTERS and shown("x" * 10**6).endswith("...")
    assert len(shown("\x00" * 100)) <= MOST_CHARACTERS
    assert shown("y" * MOST_CHARACTERS) == "y" * MOST_CHARACTERS
