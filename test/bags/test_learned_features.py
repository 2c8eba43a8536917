"""`msga bag` and `msga vo` with learned features, on real photographs of a stereo drive."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bags.bag_maker import QUICK, Drive, write
from bags.test_run import raw, read
from learned_extra import LEARNED, need
from shared_data import shared_path
from typer.testing import CliRunner

from msga_ros.bags.options import read_settings
from msga_ros.bags.run import Request, Summary, run
from msga_ros.cli import app
from msga_ros.two_view.pipeline import TwoViewPipeline

XFEAT = {"frontend.name": "xfeat", "frontend.max_keypoints": 800, "frontend.device": "cpu"}


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.filterwarnings("error")  # images of messages are read-only
def test_a_bag_gets_matches_poses_and_a_way_in_metres(
    name: str, tmp_path: Path, drive: Drive
) -> None:
    """Also where the run was interrupted: what a matcher keeps of an image is made again."""
    need(name)
    source = write(tmp_path / "in", drive.stereo(range(3)))
    settings = read_settings(None, {**QUICK, **XFEAT, "frontend.name": name})
    pipeline = TwoViewPipeline(settings.pipeline)
    warnings: list[str] = []

    def processed(folder: str, stop_after: int = 1000) -> tuple[Path, Summary]:
        def progress(done: int, _: int) -> None:
            if done > stop_after:
                raise KeyboardInterrupt

        request = Request(source, tmp_path / folder, settings)
        return request.target, run(request, lambda: pipeline, warnings.append, progress)

    target, summary = processed("out")
    assert warnings == [] and summary.poses == 3
    with pytest.raises(KeyboardInterrupt):
        processed("later", stop_after=8)
    later, summary = processed("later")
    assert summary.resumed > 0 and raw(later) == raw(target)
    found = read(target)
    for matches in found["/msga/correspondences"]:
        # The sieve is none, so that all matches come to the pose.
        assert matches.network_inliers == matches.matched > 200
        assert matches.track_ids.any()
    way = np.loadtxt(target / "trajectory_kitti.txt").reshape(-1, 3, 4)
    turn, position = drive.true_motion(0, 2)
    assert np.linalg.norm(way[2, :, 3] - position) < 0.1 * np.linalg.norm(position)
    assert np.degrees(np.linalg.norm(way[2, :, :3] - turn) / 2**0.5) < 1.0


def test_odometry_is_metric(tmp_path: Path) -> None:
    need("xfeat")
    scene, record = shared_path("data/scenes/kitti_stereo_seq2"), tmp_path / "rows.json"
    stages = [part for name, value in XFEAT.items() for part in ("--set", f"{name}={value}")]
    arguments = ("vo", str(scene), "--frames", "4", "-e", "none+poselib", "--json", str(record))
    result = CliRunner().invoke(app, [*arguments, *stages])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(record.read_text())
    assert (row["mode"], row["frames"], row["lost"]) == ("stereo", 4, 0)
    # Until the rig is learnt, its calibration costs some 16 percent here (docs/odometry.md).
    assert row["rpe_trans_percent"] == pytest.approx(0.0, abs=16.0)
