"""Front end, matcher, sieve and solver of another package are found by their names, everywhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from scene_pairs import PosedPair, load_pair
from shared_data import shared_path
from synthetic_dump import synthetic_pair, write_dump
from tiny_package import tiny, tiny_folder, with_tiny

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.frontend import FRONTENDS, FrontendError
from msga_ros.frontend.matchers import MATCHERS
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.geometry.robust import SOLVERS
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.pipeline import Status, TwoViewPipeline, TwoViewResult
from msga_ros.two_view.sieves import SIEVES, SieveError

__all__ = ["tiny", "tiny_folder"]  # fixtures

TINY = {"frontend.name": "tiny", "sieve.name": "tiny"}
TINY_MATCHER = {"frontend.name": "sift", "frontend.matcher": "tiny"}
DOOR = "data/scenes/lund_door/images"


@pytest.fixture(scope="module")
def fountain() -> PosedPair:
    return load_pair("strecha_fountain_p11", "0000.jpg", "0001.jpg")


def run(pipeline: TwoViewPipeline, pair: PosedPair) -> TwoViewResult:
    return pipeline(pair.image0, pair.image1, pair.camera0, pair.camera1)


def error_deg(result: TwoViewResult, pair: PosedPair) -> float:
    pose = (result.rotation, result.translation, pair.rotation, pair.translation)
    return max(pose_error_deg(*pose, signed=True))


@pytest.mark.usefixtures("tiny")
def test_all_are_listed_and_ours_keep_their_names() -> None:
    ours = ("sift", "fast_sift", "orb", "akaze", "tracks", "xfeat", "disk", "aliked", "msga_dense")
    assert FRONTENDS.names() == (*ours, "broken", "tiny")
    assert MATCHERS.names() == ("nearest", "lightglue", "lighterglue", "tiny")
    assert SIEVES.names() == ("msga", "none", "tiny")
    assert SOLVERS.names() == ("graduated", "poselib", "magsac", "tiny")
    assert FRONTENDS.load("sift").__name__ == "msga_ros.frontend.sift"


def test_without_the_package_nobody_knows_them() -> None:
    with pytest.raises(
        FrontendError,
        match="unknown front end 'tiny'; there are sift, fast_sift, orb, akaze, tracks",
    ):
        TwoViewPipeline.from_config(**{"frontend.name": "tiny"})
    with pytest.raises(ConfigError, match=r"must be one of auto, nearest, light.*, not 'tiny'"):
        TwoViewPipeline.from_config(**TINY_MATCHER)
    with pytest.raises(SieveError, match="unknown sieve 'tiny'; there are msga, none"):
        TwoViewPipeline.from_config(**{"sieve.name": "tiny"})


@pytest.mark.usefixtures("tiny")
def test_a_package_that_fails_is_named() -> None:
    with pytest.raises(FrontendError, match=r"'broken' \(tiny_matcher\.missing\) fails: No module"):
        TwoViewPipeline.from_config(**{"frontend.name": "broken", "sieve.name": "none"})


@pytest.mark.usefixtures("tiny")
def test_the_pipeline_runs_with_a_matcher_that_knows_no_fixed_keypoints(
    fountain: PosedPair,
) -> None:
    result = run(TwoViewPipeline.from_config(**TINY), fountain)
    assert result.status is Status.OK
    assert error_deg(result, fountain) < 2.0
    assert result.indices0 is None and result.indices1 is None
    assert (result.counts.detected0, result.counts.detected1) == (0, 0)
    # The sieve has dropped some: those of which the matcher was not sure.
    assert 0 < result.counts.network_inliers < result.counts.matched


@pytest.mark.usefixtures("tiny")
def test_a_matcher_goes_with_our_front_end_and_brings_its_sieve(fountain: PosedPair) -> None:
    result = run(TwoViewPipeline.from_config(**TINY_MATCHER), fountain)
    assert result.status is Status.OK
    assert error_deg(result, fountain) < 2.0
    assert result.sieve == "tiny"
    assert result.indices0 is not None and len(result.indices0) == result.counts.matched
    assert 0 < result.counts.network_inliers < result.counts.matched
    with pytest.raises(FrontendError, match="'tiny' is for the front ends sift, not for 'orb'"):
        TwoViewPipeline.from_config(**{**TINY_MATCHER, "frontend.name": "orb"})
    with pytest.raises(FrontendError, match="'tiny' matches by itself"):
        TwoViewPipeline.from_config(**{**TINY_MATCHER, "frontend.name": "tiny"})


@pytest.mark.usefixtures("tiny")
def test_a_matcher_is_kept_through_a_change_in_mid_run(fountain: PosedPair) -> None:
    pipeline = TwoViewPipeline.from_config(**TINY_MATCHER)
    loaded = MATCHERS.load("tiny").TinyMatcher
    times = loaded.loaded
    features = pipeline.extract(fountain.image0), pipeline.extract(fountain.image1)
    sieve = pipeline.sieve
    for most in (100, 200):
        config = PipelineConfig.load(**TINY_MATCHER, **{"frontend.max_matches": most})
        pipeline.reconfigure(config)
        result = pipeline.relate(*features, fountain.camera0, fountain.camera1)
        assert result.counts.matched == most
    assert pipeline.sieve is sieve and loaded.loaded == times > 0
    with pytest.raises(ConfigError, match=r"frontend\.matcher cannot change"):
        pipeline.reconfigure(PipelineConfig.load(**{**TINY_MATCHER, "frontend.matcher": "nearest"}))


@pytest.mark.usefixtures("tiny")
def test_the_scores_decide_for_a_solver_that_does_not_use_them(fountain: PosedPair) -> None:
    """Theirs is asked as ours are that sample: about more matches than pass, and about fewer."""
    solve = SOLVERS.load("tiny")
    pipeline = TwoViewPipeline.from_config(**{**TINY, "sieve.name": "msga", "pose.refine": "tiny"})

    def asked() -> tuple[list[tuple[int, float]], TwoViewResult]:
        calls = sys.modules[solve.__module__].calls
        calls.clear()
        result = run(pipeline, fountain)
        return list(calls), result

    twice, result = asked()
    assert result.status is Status.OK and error_deg(result, fountain) < 2.0
    (more, reach), (fewer, same) = twice
    assert more > result.counts.network_inliers > fewer and reach == same
    solve.uses_scores = True  # one that does is asked once, about what passes, within the threshold
    ((count, threshold),), _ = asked()
    assert count == result.counts.network_inliers and threshold < reach


@pytest.mark.usefixtures("tiny")
def test_their_own_settings_come_by_their_names(fountain: PosedPair, tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(
        "frontend: {name: tiny, tiny: {most: 300}, sift: {}}\nsieve: {name: tiny, tiny: {least: 0}}"
    )
    every = run(TwoViewPipeline.from_config(file), fountain)
    assert every.counts.matched <= 300
    assert every.counts.network_inliers == every.counts.matched  # least: 0
    some = run(TwoViewPipeline.from_config(file, **{"sieve.tiny.least": 0.4}), fountain)
    assert 0 < some.counts.network_inliers < some.counts.matched == every.counts.matched


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"frontend.tiny.more": 3}, "unknown configuration entry 'frontend.tiny.more'"),
        ({"frontend.tiny.most": "many"}, "frontend.tiny.most must be of type int, not str"),
        ({"frontend.tny.most": 3}, "unknown configuration entry 'frontend.tny.most'"),
        ({"sieve.own": 3}, "unknown configuration entry 'sieve.own'"),
        ({"pose.poselib.most": 3}, "unknown configuration entry 'pose.poselib.most'"),
    ],
)
def test_settings_that_they_do_not_have_are_errors(entries: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason.replace(".", r"\.")):
        PipelineConfig.load(**TINY, **entries)
    with pytest.raises(ConfigError, match="'sift' has no settings of its own: most"):
        PipelineConfig.load(**{"frontend.sift.most": 3})


@pytest.mark.usefixtures("tiny")
def test_settings_of_those_that_are_not_chosen_are_passed_over() -> None:
    """One file may hold the settings of several."""
    config = PipelineConfig.load(**{"frontend.tiny.most": 300, "sieve.tiny.least": 0.5})
    assert config == PipelineConfig()


@pytest.mark.usefixtures("tiny")
def test_a_change_in_mid_run_concerns_what_it_names_alone(fountain: PosedPair) -> None:
    """Weights are loaded once, features of before stay valid, other stages stay the same."""
    pipeline = TwoViewPipeline.from_config(**TINY)
    loaded = FRONTENDS.load("tiny").TinyFrontend
    times = loaded.loaded
    features = pipeline.extract(fountain.image0), pipeline.extract(fountain.image1)
    before = pipeline.relate(*features, fountain.camera0, fountain.camera1)
    front_end, sieve = pipeline._stages.frontend, pipeline.sieve
    pipeline.reconfigure(PipelineConfig.load(**TINY, **{"pose.threshold_px": 2.0}))
    assert pipeline._stages.frontend is front_end and pipeline.sieve is sieve
    pipeline.reconfigure(PipelineConfig.load(**TINY, **{"frontend.tiny.most": 300}))
    assert pipeline.sieve is sieve
    after = pipeline.relate(*features, fountain.camera0, fountain.camera1)
    assert after.counts.matched < before.counts.matched
    assert loaded.loaded == times > 0
    pipeline.reconfigure(PipelineConfig.load(**TINY, **{"sieve.tiny.least": 0.0}))
    all_pass = pipeline.relate(*features, fountain.camera0, fountain.camera1)
    assert all_pass.counts.network_inliers == all_pass.counts.matched == before.counts.matched
    with pytest.raises(ConfigError, match=r"sieve\.name cannot change"):
        pipeline.reconfigure(PipelineConfig.load(**{**TINY, "sieve.name": "none"}))


def test_msga_match_takes_them_and_its_help_names_them(tiny_folder: Path, tmp_path: Path) -> None:
    images = [str(shared_path(f"{DOOR}/DSC_000{number}.jpg")) for number in (1, 2)]
    found = tmp_path / "pose.json"
    with_tiny(
        tiny_folder,
        *("-m", "msga_ros.cli", "match", *images, "--frontend", "tiny"),
        *("--set", "sieve.name=tiny", "--set", "frontend.tiny.most=1500"),
        *("--json", str(found), "--output", str(tmp_path / "matches.png")),
    )
    pose = json.loads(found.read_text())
    assert pose["status"] == "OK" and pose["rotation_error_deg"] < 2.0
    assert pose["matched"] <= 1500
    assert (
        "sift, fast_sift, orb, akaze, tracks, xfeat, disk, aliked, msga_dense, broken, tiny"
        in " ".join(
            with_tiny(tiny_folder, "-m", "msga_ros.cli", "match", "--help")
            .replace("│", " ")
            .split()
        )
    )


def test_msga_match_takes_their_matcher(tiny_folder: Path, tmp_path: Path) -> None:
    images = [str(shared_path(f"{DOOR}/DSC_000{number}.jpg")) for number in (1, 2)]
    found = tmp_path / "pose.json"
    command = ("-m", "msga_ros.cli", "match", *images, "--json", str(found))
    with_tiny(tiny_folder, *command, "--set", "frontend.matcher=tiny")
    pose = json.loads(found.read_text())
    assert pose["status"] == "OK" and pose["rotation_error_deg"] < 2.0


def test_msga_eval_judges_their_sieve(tiny_folder: Path, tmp_path: Path) -> None:
    dump, rows = tmp_path / "dump.h5", tmp_path / "rows.json"
    write_dump(dump, [synthetic_pair(seed) for seed in (1, 2)])
    names = ("tiny", "tiny+poselib", "none+poselib", "ratio+poselib")
    chosen = [text for name in names for text in ("--estimator", name)]
    command = ("-m", "msga_ros.cli", "eval", str(dump), *chosen, "--json", str(rows))
    every = ("--set", "frontend.ratio=1.0", "--set", "frontend.mutual=false")
    with_tiny(tiny_folder, *command, *every)
    judged = {row["estimator"]: row for row in json.loads(rows.read_text())}
    assert set(judged) == set(names)
    for row in judged.values():
        assert row["auc5"] > 50 and row["weights"] == ""
    # Its settings count where it is the configuration's own as well.
    few = tmp_path / "few.json"
    own = ("--set", "sieve.name=tiny", "--set", "sieve.tiny.least=0.9")
    command = ("-m", "msga_ros.cli", "eval", str(dump), "-e", "tiny", "--json", str(few))
    with_tiny(tiny_folder, *command, *every, *own)
    assert json.loads(few.read_text())[0]["recall"] != judged["tiny"]["recall"]
    # What the sieve drops the solver need not sample.
    assert judged["tiny+poselib"]["precision"] > 80


def test_the_nodes_parameters_are_those_of_the_chosen_stages(tiny_folder: Path) -> None:
    code = """
from msga_ros.stream.settings import Settings, SettingsError
values = {"frontend.name": "tiny", "sieve.name": "tiny", "frontend.tiny.most": 300}
settings = Settings.from_values(values)
print(settings["frontend.tiny.most"], settings["sieve.tiny.least"], settings.pipeline.frontend.own)
print(settings.changed({"sieve.tiny.least": 0.5}).pipeline.sieve.own)
print(Settings.from_values({"frontend.matcher": "tiny"}).pipeline.frontend.matcher)
for wrong in ({"frontend.tiny.most": 1.5}, {"frontend.tiny.more": 3}, {"frontend.name": "tny"}):
    try:
        Settings.from_values({**values, **wrong})
    except SettingsError as error:
        print(error)
"""
    assert with_tiny(tiny_folder, "-c", code).splitlines() == [
        "300 0.3 Config(most=300)",
        "Config(least=0.5)",
        "tiny",
        "frontend.tiny.most is an integer, not 1.5",
        "unknown parameter frontend.tiny.more; frontend.tiny.most is meant?",
        "frontend.name must be one of sift, fast_sift, orb, akaze, tracks, xfeat, disk, aliked, "
        "msga_dense, broken, tiny, not 'tny'",
    ]


@pytest.mark.ros
def test_the_node_declares_them(tiny_folder: Path) -> None:
    pytest.importorskip("rclpy")
    pytest.importorskip("msga_ros.msg")
    code = """
import rclpy
from rclpy.parameter import Parameter
from msga_ros.node.node import MsgaNode
rclpy.init(args=["--ros-args", "-p", "frontend.name:=tiny", "-p", "sieve.name:=tiny",
                 "-p", "frontend.tiny.most:=300", "-p", "autostart:=false"])
node = MsgaNode()
print(node.get_parameter("frontend.tiny.most").value)
print(node.describe_parameter("frontend.tiny.most").description)
print(node.describe_parameter("sieve.name").additional_constraints)
print(node.set_parameters([Parameter("sieve.tiny.least", value=0.5)])[0].successful)
print(node.set_parameters([Parameter("frontend.tiny.most", value=True)])[0].successful)
node.destroy_node()
rclpy.shutdown()
"""
    assert with_tiny(tiny_folder, "-c", code).splitlines() == [
        "300",
        "Points looked at in each image.",
        "One of: auto, msga, none, tiny",
        "True",
        "False",
    ]
