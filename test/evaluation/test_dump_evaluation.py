"""Evaluation: records of every pair, kept and reused, and the rows computed from them."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from shared_data import shared_path
from synthetic_dump import random_network, synthetic_pair, write_dump

from msga_ros.datasets.dumps import DumpError
from msga_ros.evaluation import dump_evaluation
from msga_ros.evaluation.dump_evaluation import evaluate
from msga_ros.evaluation.estimators import EstimatorError
from msga_ros.evaluation.memory import PeakMemory
from msga_ros.evaluation.records import PairRecord, RecordError, RecordFile
from msga_ros.evaluation.tables import summarise
from msga_ros.frontend.config import FrontendConfig
from msga_ros.two_view.config import PipelineConfig, PoseConfig

PUBLISHED_KEYS = [
    *("dump", "estimator", "weights", "pairs"),
    *("auc5", "auc10", "auc20", "map5", "map10", "map20"),
    *("precision", "recall", "f", "ms_per_pair", "peak_mb", "peak_device_mb"),
]

RECORD = PairRecord(
    dump="a.h5",
    index=0,
    pair="hall 1 2",
    scene="hall",
    estimator="ratio+poselib",
    weights="",
    settings="0",
    matches=100,
    inlier_ratio=0.3,
    success=True,
    rotation_error=1.0,
    translation_error=2.0,
    precision=0.5,
    recall=1.0,
    f=2 / 3,
    milliseconds=10.0,
    iterations=100,
)


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dumps") / "synthetic.h5"
    return write_dump(path, [synthetic_pair(seed) for seed in (1, 2, 3, 5, 7, 8)])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_network(tmp_path_factory.mktemp("weights") / "random.safetensors")


def test_all_estimators_are_judged_on_the_same_pairs(dump: Path, weights: Path) -> None:
    names = ["msga-linear", "ratio+poselib", "oracle+poselib"]
    records = evaluate([dump], names, [weights])
    assert [record.estimator for record in records] == names * 6
    for first in range(0, len(records), 3):
        of_pair = records[first : first + 3]
        assert len({(record.pair, record.index, record.inlier_ratio) for record in of_pair}) == 1
    assert {record.weights for record in records} == {"", str(weights)}
    rows = {row.estimator: row for row in summarise(records)}
    assert list(rows) == names
    assert rows["oracle+poselib"].map5 == 100.0
    assert rows["ratio+poselib"].auc5 > 80.0
    assert rows["ratio+poselib"].recall > 97.0
    # A network that was never trained knows nothing, and the table must show it.
    assert rows["msga-linear"].auc5 < rows["ratio+poselib"].auc5
    assert rows["msga-linear"].f < 60.0


def test_a_pair_without_a_pose_counts_as_the_worst(tmp_path: Path) -> None:
    """Half of the pairs have too few matches for any motion: half of everything is lost."""
    pairs = [synthetic_pair(seed, matches=count) for seed, count in ((1, 300), (2, 4), (3, 300))]
    pairs.append(synthetic_pair(5, matches=3))
    records = evaluate([write_dump(tmp_path / "few.h5", pairs)], ["oracle+poselib"])
    assert [record.success for record in records] == [True, False, True, False]
    assert [math.isinf(record.error) for record in records] == [False, True, False, True]
    (row,) = summarise(records)
    assert row.failures == 2
    assert (row.map5, row.map20) == (50.0, 50.0)
    assert 40.0 < row.auc5 < row.auc20 < 50.0
    assert 40.0 < row.recall <= 50.0


def test_several_checkpoints_are_judged_one_by_one(dump: Path, weights: Path) -> None:
    other = random_network(weights.with_name("other.safetensors"), seed=1)
    rows = summarise(evaluate([dump], ["msga", "ratio+poselib"], [weights, other], limit=2))
    assert [(row.estimator, row.weights) for row in rows] == [
        ("msga", str(weights)),
        ("msga", str(other)),
        ("ratio+poselib", ""),
    ]
    assert rows[0].as_json() != rows[1].as_json()


@pytest.mark.parametrize(
    ("stride", "limit", "expected"),
    [
        (1, 0, [0, 1, 2, 3, 4, 5]),
        (2, 0, [0, 2, 4]),
        (1, 3, [0, 2, 4]),
        (2, 2, [0, 2]),
        (4, 9, [0, 4]),
    ],
)
def test_stride_and_limit_choose_pairs_spread_evenly(
    dump: Path, stride: int, limit: int, expected: list[int]
) -> None:
    records = evaluate([dump], ["oracle+poselib"], stride=stride, limit=limit)
    assert [record.index for record in records] == expected


def test_several_dumps_get_rows_of_their_own(dump: Path, tmp_path: Path) -> None:
    other = write_dump(tmp_path / "other.h5", [synthetic_pair(9)])
    namesake = write_dump(tmp_path / dump.name, [synthetic_pair(9)])
    rows = summarise(evaluate([dump, other, namesake], ["ratio+poselib"]))
    assert [(row.dump, row.pairs) for row in rows] == [
        (str(dump), 6),
        ("other.h5", 1),
        (str(namesake), 1),
    ]


def test_progress_is_told_after_each_record(dump: Path) -> None:
    told: list[tuple[int, int, str]] = []
    evaluate(
        [dump], ["oracle+poselib", "ratio+poselib"], limit=2, advance=lambda *a: told.append(a)
    )
    assert told == [(done, 4, "synthetic.h5") for done in (1, 2, 3, 4)]


def test_kept_records_are_not_computed_again(
    dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "records.jsonl"
    first = evaluate([dump], ["ratio+poselib"], limit=2, cache=RecordFile(path))
    every = evaluate([dump], ["ratio+poselib"], cache=RecordFile(path))
    assert every[0] == first[0]
    assert len(RecordFile(path)) == 6  # two were there

    def fail(*arguments: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(dump_evaluation.Judge, "record", fail)
    assert evaluate([dump], ["ratio+poselib"], cache=RecordFile(path)) == every
    config = PipelineConfig(pose=PoseConfig(seed=1))
    with pytest.raises(AssertionError, match="computed again"):  # another seed is another question
        evaluate([dump], ["ratio+poselib"], config=config, cache=RecordFile(path))


def test_failures_survive_the_file_and_count_as_infinite_errors(tmp_path: Path) -> None:
    failed = replace(
        RECORD, index=1, success=False, rotation_error=math.inf, translation_error=math.inf
    )
    path = tmp_path / "records.jsonl"
    kept = RecordFile(path)
    for record in (RECORD, failed):
        kept.add(record)
    again = RecordFile(path)
    assert again.find(RECORD.key) == RECORD
    assert again.find(failed.key) == failed
    (row,) = summarise([RECORD, failed])
    assert (row.pairs, row.failures, row.map5) == (2, 1, 50.0)
    assert row.auc20 < 50.0


def test_a_file_that_holds_no_records_is_named(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    for text in ("not json", "[1]", '{"dump": "a.h5"}'):
        path.write_text(text + "\n")
        with pytest.raises(RecordError, match=r"records\.jsonl, line 1"):
            RecordFile(path)
    path.write_bytes(b'{"dump": "\xff"}\nrest')
    with pytest.raises(RecordError, match=r"records\.jsonl: .* no text"):
        RecordFile(path)
    assert path.read_bytes().endswith(b"rest")


def test_rows_by_hand() -> None:
    records = [
        replace(RECORD, index=0, rotation_error=0.0, translation_error=0.0),
        replace(RECORD, index=1, rotation_error=7.0, translation_error=1.0, milliseconds=30.0),
    ]
    (row,) = summarise(records)
    assert (row.map5, row.map10, row.map20) == (50.0, 75.0, 87.5)
    # Recall: 1/2 at error 0 (and a line up to 1 at 7); level to the threshold.
    assert row.auc5 == pytest.approx(100 * 5 * 0.5 / 5)
    assert row.auc10 == pytest.approx(100 * (7 * 0.75 + 3 * 1.0) / 10)
    assert (row.ms_per_pair, row.precision, row.recall) == (20.0, 50.0, 100.0)
    assert row.f == pytest.approx(100 * 2 / 3)


def test_rows_by_scene_and_by_inlier_ratio() -> None:
    ratios = (0.25, 0.01, 0.05, 0.15, 0.199)
    records = [
        replace(RECORD, index=i, scene=f"s{i % 2}", inlier_ratio=ratio, dump=name)
        for name in ("b.h5", "a.h5")
        for i, ratio in enumerate(ratios)
    ]
    by_scene = summarise(records, "scene")
    assert [(row.dump, row.group, row.pairs) for row in by_scene] == [
        ("b.h5", "s0", 3),
        ("b.h5", "s1", 2),
        ("a.h5", "s0", 3),
        ("a.h5", "s1", 2),
    ]
    classes = [(row.group, row.pairs) for row in summarise(records[:5], "inlier-ratio")]
    assert classes == [("under 5 %", 1), ("5-10 %", 1), ("10-20 %", 2), ("over 20 %", 1)]
    with pytest.raises(ValueError, match="not 'weather'"):
        summarise(records, "weather")
    assert summarise([]) == []


def test_json_has_the_published_keys_and_only_finite_numbers(dump: Path) -> None:
    records = evaluate([dump], ["ratio+poselib"], limit=2)
    (row,) = summarise(records)
    assert list(row.as_json()) == PUBLISHED_KEYS
    (row,) = summarise(records, intervals=True)
    low, high = row.as_json()["auc10_interval"]
    assert low <= row.auc10 <= high
    scene = summarise(records, "scene")[0].as_json()
    assert scene["group"] == "scene1"
    json.dumps([row.as_json(), scene], allow_nan=False)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux to reset the mark")
def test_peak_memory_is_that_of_the_work_alone() -> None:
    sizes = []
    for count in (100, 12_000_000, 100, 6_000_000):  # the last: 46 MiB
        with PeakMemory() as peak:
            blocks = [np.ones(count // 100) for _ in range(100)]  # small: they stay in the heap
            del blocks
        sizes.append(peak.resident)
        assert peak.device == 0.0 or torch.cuda.is_initialized()
    assert sizes == pytest.approx([0.0, 91.6, 0.0, 45.8], abs=16.0)


def test_peaks_count_the_network_for_all_that_start_from_it(tmp_path: Path, weights: Path) -> None:
    large = write_dump(tmp_path / "large.h5", [synthetic_pair(1, matches=n) for n in (50, 2000)])
    unfiltered = PipelineConfig(frontend=FrontendConfig(ratio=1.0, mutual=False))
    names = ["msga", "msga+poselib", "ratio+poselib"]
    records = evaluate([large], names, [weights], unfiltered)
    rows = summarise(records)
    assert records[3].memory > records[0].memory  # of more matches
    assert all(row.peak_mb > 1.0 for row in rows[:2])  # it holds at least its features
    assert rows[2].peak_mb < min(row.peak_mb for row in rows[:2])
    assert rows[0].peak_mb == max(r.memory for r in records if r.estimator == "msga")
    assert math.isnan(summarise([RECORD])[0].peak_mb)
    assert summarise([RECORD])[0].as_json()["peak_mb"] is None


def test_unusable_input_is_refused_by_name(dump: Path, tmp_path: Path) -> None:
    with pytest.raises(EstimatorError, match="magic"):
        evaluate([dump], ["ratio+poselib", "magic"])
    broken = tmp_path / "broken.h5"
    broken.write_text("no dump")
    with pytest.raises(DumpError, match=r"broken\.h5"):
        evaluate([dump, broken], ["ratio+poselib"])
    incomplete = write_dump(tmp_path / "incomplete.h5", [synthetic_pair(1), synthetic_pair(2)])
    with h5py.File(incomplete, "r+") as file:
        del file["Rs/1"]
    with pytest.raises(DumpError, match=r"incomplete\.h5: Rs/1"):
        evaluate([incomplete], ["ratio+poselib"])
    without_focal = write_dump(tmp_path / "unknown.h5", [synthetic_pair(1)], focal=False)
    with pytest.raises(EstimatorError, match="focal"):
        evaluate([without_focal], ["ratio+poselib"])


def test_the_baseline_on_the_validation_dump_is_the_known_one() -> None:
    # Measured on every second pair with PoseLib: 76.2/85.2/91.1 and oracles above; here fewer.
    rows = summarise(
        evaluate([shared_path("data/val.h5")], ["ratio+poselib", "oracle-tight+poselib"], limit=60)
    )
    ratio, oracle = rows
    assert 65.0 < ratio.auc5 < 88.0
    assert 86.0 < ratio.auc20 < 97.0
    assert oracle.auc5 > ratio.auc5 + 3.0
    assert oracle.auc20 > ratio.auc20
    assert oracle.precision > ratio.precision


def test_another_sieve_than_the_network_needs_no_weights(tmp_path: Path) -> None:
    dump = tmp_path / "synthetic.h5"
    write_dump(dump, [synthetic_pair(1), synthetic_pair(2)])
    config = PipelineConfig.load(**{"network.weights": str(tmp_path / "none.safetensors")})
    records = evaluate([dump], ["none+poselib", "none"], config=config)
    assert [(record.estimator, record.weights) for record in records[:2]] == [
        ("none+poselib", ""),
        ("none", ""),
    ]
    assert all(record.success and record.rotation_error < 1.0 for record in records)
    assert records[0].iterations > 0 == records[1].iterations
