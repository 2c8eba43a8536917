"""Folders in the layout of the TUM RGB-D benchmark: three clocks, one camera, one truth."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from msga_ros.datasets.sequences.base import LEFT, Frame, SequenceError
from msga_ros.datasets.sequences.source import open_sequence
from msga_ros.datasets.sequences.tum import TumSequence, associate
from msga_ros.geometry.camera import Camera

START = 1305031102.0
SIZE = (64, 48)
CAMERA = Camera.pinhole(50.0, 51.0, 31.5, 23.5)
COUNT = 5


def write(folder: Path, unit: float = 5000.0) -> Path:
    """Five images a tenth of a second apart; depth 4 ms after each, of as many metres as its number
    and one, but for the third; the camera goes 1 m/s along x and turns 0.5 rad/s about z."""
    for name in ("rgb", "depth"):
        (folder / name).mkdir(parents=True)
    lists: dict[str, list[str]] = {name: [f"# {name} by time"] for name in ("rgb", "depth")}
    for number in reversed(range(COUNT)):  # whoever lists them may do so in any order
        image = np.full(SIZE[::-1], 10 * number, np.uint8)
        depth = np.full(SIZE[::-1], round((number + 1) * unit), np.uint16)
        depth[7, 3] = 0
        for name, picture, late in (("rgb", image, 0.0), ("depth", depth, 0.004)):
            file = f"{name}/{number}.png"
            assert cv2.imwrite(str(folder / file), picture)
            if (name, number) != ("depth", 2):
                lists[name].append(f"{START + number / 10 + late:.6f} {file}")
    truth = ["# stamp tx ty tz qx qy qz qw"]
    for step in range(-1, 8):  # none for the last image
        when = 0.05 * step
        turn = " ".join(map(str, Rotation.from_rotvec([0.0, 0.0, 0.5 * when]).as_quat()))
        truth.append(f"{START + when:.6f} {when} 0 2 {turn}")
    for name, lines in (*lists.items(), ("groundtruth", truth)):
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "own_recording")


def brightness(frame: Frame) -> float:
    return float(frame.images[LEFT].mean())


def test_frames_are_those_that_have_a_depth_and_in_order_of_time(folder: Path) -> None:
    sequence = TumSequence(folder, depth=True, camera=CAMERA)
    assert (sequence.name, sequence.cameras, len(sequence)) == ("own_recording", (LEFT,), 4)
    for _ in range(2):
        frames = list(sequence)
        assert [brightness(frame) for frame in frames] == [0, 10, 30, 40]
        stamps = [frame.stamp - START for frame in frames]
        np.testing.assert_allclose(stamps, [0.0, 0.1, 0.3, 0.4], atol=1e-6)
        for frame, metres in zip(frames, (1.0, 2.0, 4.0, 5.0), strict=True):
            assert frame.depth is not None
            assert np.isnan(frame.depth[7, 3])
            assert np.nanmin(frame.depth) == np.nanmax(frame.depth) == pytest.approx(metres)


def test_without_depth_every_image_is_a_frame(folder: Path) -> None:
    (folder / "depth.txt").unlink()
    sequence = TumSequence(folder, camera=CAMERA)
    assert [brightness(frame) for frame in sequence] == [0, 10, 20, 30, 40]
    assert sequence.rate == pytest.approx(10.0)
    assert sequence[3].depth is None
    with pytest.raises(SequenceError, match=r"depth\.txt"):
        TumSequence(folder, depth=True, camera=CAMERA)


def test_truth_is_that_of_the_image_and_missing_where_there_is_none(folder: Path) -> None:
    frames = list(TumSequence(folder, camera=CAMERA))
    for frame in frames[:4]:
        assert frame.poses is not None
        pose, passed = frame.poses[LEFT], frame.stamp - START
        np.testing.assert_allclose(pose.centre, [passed, 0.0, 2.0], atol=1e-6)
        turned = Rotation.from_matrix(pose.rotation.T).as_rotvec()  # camera to world
        np.testing.assert_allclose(turned, [0.0, 0.0, 0.5 * passed], atol=1e-6)
    assert frames[4].poses is None
    (folder / "groundtruth.txt").unlink()
    assert all(frame.poses is None for frame in TumSequence(folder, camera=CAMERA))


def test_the_camera_is_given_or_that_of_the_benchmark(tmp_path: Path, folder: Path) -> None:
    frame = TumSequence(folder, camera=CAMERA)[0]
    np.testing.assert_array_equal(frame.cameras[LEFT].k, CAMERA.k)
    assert (frame.cameras[LEFT].width, frame.cameras[LEFT].height) == SIZE
    with pytest.raises(SequenceError, match="--camera"):
        TumSequence(folder)
    known = write(tmp_path / "rgbd_dataset_freiburg1_small")
    with pytest.raises(SequenceError, match="64x48, the camera is for 640x480"):
        TumSequence(known)
    for path in (known / "rgb").iterdir():
        assert cv2.imwrite(str(path), np.zeros((480, 640), np.uint8))
    camera = TumSequence(known)[0].cameras[LEFT]
    assert camera.k[0, 0] == 517.3 and camera.distortion_model == "plumb_bob"


def test_a_source_with_such_lists_is_opened_as_one(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", unit=1000.0)
    opened = open_sequence(str(folder), stereo=False, camera=CAMERA, depth=True, depth_scale=1000)
    depth = next(iter(opened)).depth
    assert depth is not None and np.nanmax(depth) == pytest.approx(1.0)
    with pytest.raises(SequenceError, match="one camera"):
        open_sequence(str(folder), stereo=True, camera=CAMERA)
    for other in ("synthetic", str(tmp_path)):
        with pytest.raises(SequenceError, match="none can be given"):
            open_sequence(other, stereo=False, camera=CAMERA)
        with pytest.raises(SequenceError, match="scale of depth"):
            open_sequence(other, stereo=False, depth_scale=1000)


def test_what_is_broken_is_named(folder: Path) -> None:
    (folder / "depth" / "3.png").unlink()
    cv2.imwrite(str(folder / "depth" / "0.png"), np.ones(SIZE, np.uint16))
    cv2.imwrite(str(folder / "rgb" / "1.png"), np.ones(SIZE, np.uint8))
    (folder / "rgb" / "4.png").unlink()
    sequence = TumSequence(folder, depth=True, camera=CAMERA)
    for index, problem in enumerate(
        (r"0\.png: not a depth image of 16 bits", "first image", r"3\.png: not a read", r"4\.png")
    ):
        with pytest.raises(SequenceError, match=problem):
            sequence[index]
    listing = folder / "rgb.txt"
    listing.write_text(f"{START} \n")
    with pytest.raises(SequenceError, match=r"rgb\.txt, line 1: a time and a file"):
        TumSequence(folder, camera=CAMERA)
    listing.write_text("noon rgb/0.png\n")
    with pytest.raises(SequenceError, match=r"rgb\.txt, line 1"):
        TumSequence(folder, camera=CAMERA)
    listing.write_text("# nothing\n")
    with pytest.raises(SequenceError, match="no image"):
        TumSequence(folder, camera=CAMERA)


@pytest.mark.parametrize("seed", range(3))
def test_association_takes_the_nearest_in_time_once(seed: int) -> None:
    """As the rule says, over all pairs: of those left, the nearest two belong together."""
    random = np.random.default_rng(seed)
    first, second = (np.sort(random.uniform(0.0, 1.0, count)) for count in (40, 60))
    rows, others = associate(first, second, 0.02)
    apart = np.abs(first[:, None] - second)
    expected = []
    while apart.min() <= 0.02:
        row, other = np.unravel_index(apart.argmin(), apart.shape)
        expected.append((row, other))
        apart[row] = np.inf
        apart[:, other] = np.inf
    assert 10 < len(expected) < 40
    assert list(zip(rows, others, strict=True)) == sorted(expected)
