"""`msga vo`: records, files, and clear lines for mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from shared_data import shared_path
from typer.testing import CliRunner

from msga_ros.cli import app
from msga_ros.datasets.sequences.base import LEFT
from msga_ros.datasets.sequences.synthetic import SyntheticOptions, SyntheticSequence

KEYS = {
    "sequence",
    "mode",
    "estimator",
    "frames",
    "ate_m",
    "rpe_trans_percent",
    "rpe_rot_deg",
    "ms_per_frame",
    "frames_in_all",
    "lost",
    "scale_drift_percent",
    "frames_common",
    "ate_m_common",
    "rpe_trans_percent_common",
    "rpe_rot_deg_common",
    "inliers",
}


def msga(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_stereo_on_the_rendered_scene(tmp_path: Path) -> None:
    """Ten frames over a metre and a half: all files are there, and the motion is right."""
    record, output = tmp_path / "rows.json", tmp_path / "new" / "folder"
    code, text = msga(
        *("vo", "synthetic", "--frames", 6, "--set", "frontend.max_keypoints=800"),
        *("-e", "ratio+poselib", "-e", "ratio+magsac", "--json", record, "--output", output),
    )
    assert code == 0, text
    assert "ratio+magsac" in text and "RPE" in text
    rows = json.loads(record.read_text())
    assert [row["estimator"] for row in rows] == ["ratio+poselib", "ratio+magsac"]
    for row in rows:
        assert set(row) == KEYS
        assert row["sequence"] == "synthetic" and row["mode"] == "stereo" and row["frames"] == 6
        assert row["rpe_trans_percent"] < 3.0 and row["rpe_rot_deg"] < 0.2
        assert row["ate_m"] < 0.05 and row["ms_per_frame"] > 0
        assert (row["frames_in_all"], row["frames_common"], row["lost"]) == (6, 6, 0)
        assert row["ate_m_common"] == row["ate_m"] and row["scale_drift_percent"] is None
    assert "a pose for the same 6 frames" in text
    estimate = np.loadtxt(output / "synthetic_stereo_ratio-poselib.tum")
    true = np.loadtxt(output / "synthetic_stereo_truth.tum")
    assert estimate.shape == true.shape == (6, 8)
    ways = [
        np.linalg.norm(np.diff(rows[:, 1:4], axis=0), axis=1).sum() for rows in (estimate, true)
    ]
    assert ways[0] == pytest.approx(ways[1], rel=0.03)  # metres, not some unit
    assert np.loadtxt(output / "synthetic_stereo_ratio-poselib.kitti").shape == (6, 12)
    picture = (output / "synthetic_stereo.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 5000


def test_real_drive_is_metric(tmp_path: Path) -> None:
    """A dozen frames of a car: within 3 % of the distance, by ours and by a classical filter."""
    scene = shared_path("data/scenes/kitti_stereo_seq2")
    record = tmp_path / "rows.json"
    code, text = msga(
        "vo", scene, "--frames", 12, "-e", "msga", "-e", "ratio+poselib", "--json", record
    )
    assert code == 0, text
    for row in json.loads(record.read_text()):
        assert row["sequence"] == "kitti_stereo_seq2" and row["mode"] == "stereo"
        assert row["frames"] == 12
        assert row["rpe_trans_percent"] < 3.0, row


def test_depth_on_the_rendered_scene_is_metric(tmp_path: Path) -> None:
    """One camera, and depth of limited range with noise and holes, missing beside edges."""
    record = tmp_path / "rows.json"
    code, text = msga(
        *("vo", "synthetic", "--mode", "rgbd", "--frames", 6, "-e", "ratio+poselib"),
        *("--json", record, "--output", tmp_path, "--set", "frontend.max_keypoints=800"),
    )
    assert code == 0, text
    (row,) = json.loads(record.read_text())
    assert row["mode"] == "rgbd" and (row["frames"], row["lost"]) == (6, 0)
    assert row["rpe_trans_percent"] < 4.0 and row["rpe_rot_deg"] < 0.2
    assert row["scale_drift_percent"] is None and "scale drift %" not in text
    estimate, true = (
        np.loadtxt(tmp_path / f"synthetic_rgbd_{name}.tum") for name in ("ratio-poselib", "truth")
    )
    ways = [
        np.linalg.norm(np.diff(rows[:, 1:4], axis=0), axis=1).sum() for rows in (estimate, true)
    ]
    assert ways[0] == pytest.approx(ways[1], rel=0.04)  # metres, not some unit


def test_real_depth_is_metric(tmp_path: Path) -> None:
    """A hand-held sensor that turns fast: auto takes the depth, and the way is in metres."""
    scene, record = shared_path("data/rgbd/tum_fr1_rpy"), tmp_path / "rows.json"
    code, text = msga(
        *("vo", scene, "--frames", 15, "-e", "ratio+poselib", "--json", record),
        *("--set", "frontend.max_keypoints=1000"),
    )
    assert code == 0, text
    (row,) = json.loads(record.read_text())
    assert row["mode"] == "rgbd" and (row["frames"], row["lost"]) == (15, 0)
    assert row["ate_m"] < 0.03


def test_a_folder_of_tum_rgb_d_is_read_as_it_is(tmp_path: Path) -> None:
    """The rendered scene in that layout, whose camera is given, in millimetres; the
    last frames without truth are in the trajectory, and not in the errors."""
    folder, record = tmp_path / "yard", tmp_path / "rows.json"
    sequence = SyntheticSequence(SyntheticOptions(frames=6, stereo=False, depth=True))
    lists: dict[str, list[str]] = {"rgb": [], "depth": [], "groundtruth": []}
    for name in ("rgb", "depth"):
        (folder / name).mkdir(parents=True)
    for number, frame in enumerate(sequence):
        assert frame.depth is not None and frame.poses is not None
        pictures = {"rgb": frame.images[LEFT], "depth": np.nan_to_num(1000 * frame.depth)}
        for name, picture in pictures.items():
            file, kind = f"{name}/{number}.png", np.uint8 if name == "rgb" else np.uint16
            assert cv2.imwrite(str(folder / file), picture.astype(kind))
            lists[name].append(f"{frame.stamp} {file}")
        pose = frame.poses[LEFT]
        turn = Rotation.from_matrix(pose.rotation.T).as_quat()
        if number < 5:
            values = " ".join(map(str, (frame.stamp, *pose.centre, *turn)))
            lists["groundtruth"].append(values)
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    k = sequence.camera.k
    code, text = msga(
        *("vo", folder, "--camera", f"{k[0, 0]},{k[1, 1]},{k[0, 2]},{k[1, 2]}"),
        *("--depth-scale", 1000, "-e", "ratio+poselib", "--json", record, "--output", tmp_path),
        *("--set", "frontend.max_keypoints=800"),
    )
    assert code == 0, text
    (row,) = json.loads(record.read_text())
    assert row["mode"] == "rgbd" and (row["frames"], row["lost"]) == (6, 0)
    assert row["rpe_trans_percent"] < 4.0 and row["rpe_rot_deg"] < 0.2
    assert len(np.loadtxt(tmp_path / "yard_rgbd_truth.tum")) == 5
    assert len(np.loadtxt(tmp_path / "yard_rgbd_ratio-poselib.tum")) == 6
    code, text = msga("vo", folder)
    assert code != 0 and "give --camera" in text


def test_mono_is_judged_up_to_scale(tmp_path: Path) -> None:
    scene = shared_path("data/scenes/kitti_stereo_seq2")
    record = tmp_path / "rows.json"
    code, text = msga(
        *("vo", scene, "--mode", "mono", "--frames", 12, "-e", "ratio+poselib"),
        *("--json", record, "--set", "frontend.max_keypoints=1200"),
    )
    assert code == 0, text
    (row,) = json.loads(record.read_text())
    assert row["mode"] == "mono" and 3 <= row["frames"] <= 12
    assert row["rpe_trans_percent"] < 10.0
    assert row["frames_in_all"] == 12 and row["frames_common"] == row["frames"]
    assert abs(row["scale_drift_percent"]) < 50
    assert "scale drift %" in text


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["vo", "no-such-folder"], "no-such-folder"),
        (["vo", "synthetic", "-e", "guess"], "unknown estimator 'guess'"),
        (["vo", "synthetic", "--frames", "1", "-e", "ratio"], "at least two frames"),
        (["vo", "synthetic", "--set", "odometry.min_inlier=4"], "odometry.min_inlier"),
        (["vo", "synthetic", "--set", "odometry.min_inliers=4"], "at least 6"),
        (
            ["vo", "synthetic", "--set", "odometry.gate_px=wide"],
            "odometry.gate_px must be of type float",
        ),
        (
            ["vo", "synthetic", "--frames", "2", "--set", "frontend.name=msga_dense"],
            "msga_dense has no fixed keypoints",
        ),
        (["vo", "no-such-folder", "--mode", "rgbd"], "no-such-folder"),
        (["vo", "synthetic", "--json", "no/such/folder/rows.json"], "no/such/folder"),
        (["vo", "synthetic", "-w", "no.safetensors", "-e", "msga"], "no.safetensors"),
    ],
)
def test_mistakes_are_one_clear_line(arguments: list[str], part: str) -> None:
    code, text = msga(*arguments)
    assert code == 2, text
    (line,) = text.strip().splitlines()
    assert line.startswith("msga: ") and part in line
