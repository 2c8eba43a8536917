"""The matcher, called the way RTAB-Map's PyMatcher calls it: a file by its path, two functions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from shared_data import shared_path

from msga_ros.network import CheckpointError, packaged_weights
from msga_ros.network.match_scores import MatchScores
from msga_ros.plugs import rtabmap_matcher
from msga_ros.plugs.matches import PlugError
from msga_ros.two_view.sieves.msga import NetworkConfig

FILE = Path(__file__).resolve().parents[2] / "msga_ros" / "plugs" / "rtabmap_matcher.py"

# As PyMatcher does: the folder at the end of sys.path, the file as a module by its name, init and
# match by position. In a Python that has no sys.argv, as an embedded one.
CALLER = """
import sys
del sys.argv
import numpy as np
sys.path.append({folder!r})
module = __import__("rtabmap_matcher")
given = np.load({given!r})
names = ("kp0", "kp1", "s0", "s1", "d0", "d1")
dimension = given["d0"].shape[1]
assert module.init(dimension, {threshold}, 20, 0, {model!r}) is None
for _ in range(2):  # init once, match often
    found = module.match(*(given[name] for name in names), {width}, {height})
assert isinstance(found, np.ndarray)
np.save({found!r}, found)
print(found.flags.c_contiguous, found.dtype, found.ndim)
"""


@pytest.fixture(scope="module", autouse=True)
def _weights() -> None:
    try:
        packaged_weights()
    except CheckpointError as error:
        pytest.skip(str(error))


def call(
    tmp_path: Path,
    arrays: dict[str, np.ndarray],
    size: tuple[int, int],
    camera: str = "",
    threshold: float = 0.2,
    model: str = "indoor",
) -> np.ndarray:
    given, found = tmp_path / "given.npz", tmp_path / "found.npy"
    np.savez(given, **arrays)
    code = CALLER.format(
        folder=str(FILE.parent), given=str(given), found=str(found), threshold=threshold,
        model=model, width=size[0], height=size[1],
    )  # fmt: skip
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "MSGA_CAMERA": camera}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    # RTAB-Map reads the memory of the array as pairs of int32 or int64.
    contiguous, kind, dimensions = done.stdout.split()
    assert (contiguous, dimensions) == ("True", "2")
    assert kind in ("int32", "int64")
    return np.load(found)


def sift(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keypoints, responses, descriptors, as RTAB-Map's own SIFT gives them."""
    keypoints, descriptors = cv2.SIFT_create(nfeatures=600).detectAndCompute(image, None)
    points = np.array([one.pt for one in keypoints], np.float32)
    return points, np.array([one.response for one in keypoints], np.float32), descriptors


def test_real_pair(tmp_path: Path) -> None:
    folder = shared_path("data/scenes/kitti_stereo_seq1")
    entries = json.loads((folder / "scene.json").read_text())["images"]
    pair = [one for one in entries if one["frame"] == 0]
    images = [
        cv2.imread(str(folder / "images" / one["file"]), cv2.IMREAD_GRAYSCALE) for one in pair
    ]
    views = [sift(image) for image in images]
    arrays = {
        "kp0": views[0][0], "kp1": views[1][0], "s0": views[0][1], "s1": views[1][1],
        "d0": views[0][2], "d1": views[1][2],
    }  # fmt: skip
    k = np.array(pair[0]["K"])
    camera = ",".join(str(value) for value in (k[0, 0], k[1, 1], k[0, 2], k[1, 2]))
    found = call(tmp_path, arrays, (pair[0]["width"], pair[0]["height"]), camera)
    assert found.shape[1] == 2 and len(found) > 30
    assert (found >= 0).all()
    assert found[:, 0].max() < len(views[0][0]) and found[:, 1].max() < len(views[1][0])
    for column in found.T:
        assert len(set(column.tolist())) == len(column)

    def right_share(indices0: np.ndarray, indices1: np.ndarray) -> float:
        """In a rectified pair a match stays in its row, and moves to the left."""
        moved = views[1][0][indices1] - views[0][0][indices0]
        return float(((np.abs(moved[:, 1]) < 2) & (moved[:, 0] < 1)).mean())

    nearest = cv2.BFMatcher().match(views[0][2], views[1][2])
    plain = right_share(
        np.array([one.queryIdx for one in nearest]), np.array([one.trainIdx for one in nearest])
    )
    assert right_share(found[:, 0], found[:, 1]) > plain


def test_the_threshold_is_a_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    """`PyMatcher/Threshold`: of matches with a distance of n thresholds, 1 / (1 + n) is told."""
    rng = np.random.default_rng(1)
    descriptors = rng.standard_normal((40, 64)).astype(np.float32)
    points = rng.uniform(0, 400, (40, 2)).astype(np.float32)
    scores = np.ones(40, np.float32)

    class Known:
        def __call__(self, rows: np.ndarray, *_: np.ndarray) -> MatchScores:
            residual = np.arange(len(rows)) * NetworkConfig().inlier_threshold
            return MatchScores(np.eye(3), residual, np.zeros(len(rows)))

    for threshold, count in ((0.0, 40), (0.09, 11), (0.5, 2), (0.6, 1), (1.1, 0)):
        rtabmap_matcher.init(64, threshold, 20, 0, "")
        monkeypatch.setitem(rtabmap_matcher._state, "inference", Known())
        found = rtabmap_matcher.match(
            points, points, scores, scores, descriptors, descriptors, 640, 480
        )
        assert sorted(map(tuple, found.tolist())) == [(i, i) for i in range(count)]


@pytest.mark.parametrize(
    "text",
    ["718.9,718.9,607.2", "1,2,3,4,5", "fx,fy,cx,cy", "0,700,300,200", "-700,700,300,200",
     "nan,700,300,200", "700,700,inf,200", "700;700;300;200"],
)  # fmt: skip
def test_a_bad_calibration_fails_in_init(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MSGA_CAMERA", text)
    with pytest.raises(PlugError, match="MSGA_CAMERA"):
        rtabmap_matcher.init(128, 0.5, 20, 0, "")


def test_silence_where_the_pose_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pair of a scene with a motion, one of matches that agree on none."""
    rng = np.random.default_rng(0)
    camera = np.array([500.0, 500.0, 320.0, 240.0])
    points = rng.uniform([-3, -2, 5], [3, 2, 15], (300, 3))
    descriptors = rng.standard_normal((300, 64)).astype(np.float32)

    def pixels(scene: np.ndarray) -> np.ndarray:
        seen = camera[:2] * scene[:, :2] / scene[:, 2:] + camera[2:]
        return (seen + rng.normal(0, 0.2, seen.shape)).astype(np.float32)

    moved = pixels(points - [0.8, 0.0, 0.3])
    scattered = rng.uniform([0, 0], [640, 480], (300, 2)).astype(np.float32)

    def count(other: np.ndarray) -> int:
        given = (pixels(points), other, np.ones(300, np.float32), np.ones(300, np.float32))
        return len(rtabmap_matcher.match(*given, descriptors, descriptors, 640, 480))

    monkeypatch.setenv("MSGA_CAMERA", "500,500,320,240")
    rtabmap_matcher.init(64, 0.0, 20, 0, "")
    assert count(moved) == count(scattered) == 300
    monkeypatch.setenv("MSGA_ONLY_OK", "1")
    rtabmap_matcher.init(64, 0.0, 20, 0, "")
    assert count(moved) == 300
    assert count(scattered) == 0
    assert count(pixels(points)) == 0  # no motion: DEGENERATE
    monkeypatch.setenv("MSGA_ONLY_OK", "yes")
    with pytest.raises(PlugError, match="MSGA_ONLY_OK must be 0 or 1"):
        rtabmap_matcher.init(64, 0.0, 20, 0, "")


def test_other_descriptors_and_no_calibration(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    descriptors = rng.standard_normal((50, 256)).astype(np.float32)
    points = rng.uniform(0, 400, (50, 2)).astype(np.float32)
    arrays = {
        "kp0": points, "kp1": points + np.float32(3), "s0": points[:, 0], "s1": points[:, 0],
        "d0": descriptors, "d1": descriptors,
    }  # fmt: skip
    found = call(tmp_path, arrays, (640, 480), threshold=0.0, model=str(packaged_weights()))
    # With the threshold at 0 every nearest neighbour passes, and here each is its own.
    assert sorted(map(tuple, found.tolist())) == [(i, i) for i in range(50)]


def test_nothing_to_match(tmp_path: Path) -> None:
    one = np.ones((1, 2), np.float32)
    arrays = {
        "kp0": one, "kp1": one, "s0": one[0, :1], "s1": one[0, :1],
        "d0": np.ones((1, 128), np.float32), "d1": np.ones((1, 128), np.float32),
    }  # fmt: skip
    found = call(tmp_path, arrays, (640, 480))
    assert found.shape[1] == 2 and len(found) <= 1
