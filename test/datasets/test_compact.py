"""Compact dumps: the same pairs within the stated rounding, in less space."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from shared_data import shared_path
from synthetic_dump import synthetic_pair, write_dump
from typer.testing import CliRunner

from msga_ros.cli import app
from msga_ros.datasets.compact import COORDINATE_STEP, RATIO_STEP, write_compact
from msga_ros.datasets.dumps import DumpError, DumpFile, Pair


def compacted(output: Path, *dumps: Path | str) -> Path:
    result = CliRunner().invoke(app, ["compact", *map(str, dumps), "-o", str(output)])
    assert result.exit_code == 0, result.output
    return output


def test_compact_pairs_are_the_same_within_rounding(tmp_path: Path) -> None:
    pairs = [synthetic_pair(i, matches=50 + 40 * i) for i in range(5)]
    first = write_dump(tmp_path / "first.h5", pairs[:2])
    second = write_dump(tmp_path / "second.h5", pairs[2:])
    with DumpFile(compacted(tmp_path / "small.h5", first, second)) as small:
        assert len(small) == 5
        for index in (4, 0, 2, 1, 3):  # in any order
            pair, expected = small[index], pairs[index]
            assert (pair.name, pair.scene) == (expected.name, expected.scene)
            error = np.abs(pair.correspondences - expected.correspondences)
            assert error.max() <= COORDINATE_STEP / 2
            assert np.abs(pair.ratios - expected.ratios).max() <= RATIO_STEP / 2
            np.testing.assert_array_equal(pair.mutuals, expected.mutuals)
            np.testing.assert_allclose(pair.rotation, expected.rotation, atol=1e-7)
            np.testing.assert_allclose(pair.translation, expected.translation, atol=1e-7)
            np.testing.assert_allclose(pair.focal0, expected.focal0)
            # Computed anew from the rounded coordinates: distances move by less than a step or so.
            moved = np.abs(np.sqrt(pair.residual) - np.sqrt(expected.residual))
            assert np.median(moved) < 2 * COORDINATE_STEP


def test_compacting_twice_changes_nothing_more(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "dump.h5", [synthetic_pair(i) for i in range(3)])
    once = compacted(tmp_path / "once.h5", dump)
    twice = compacted(tmp_path / "twice.h5", once)
    with DumpFile(once) as one, DumpFile(twice) as other:
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.correspondences, b.correspondences)
            np.testing.assert_array_equal(a.ratios, b.ratios)


def known_pair(seed: int, matches: int = 200) -> Pair:
    """A pair of which the keypoints tell something, but not of every match."""
    rng = np.random.default_rng(seed)
    rotations = rng.uniform(-np.pi, np.pi, matches).astype(np.float32)
    rotations[:3] = -np.pi, np.nextafter(np.float32(np.pi), np.float32(0)), 0.0
    log_scales = rng.normal(0, 1, matches).astype(np.float32)
    log_scales[:2] = -7.9, 7.9
    distances = rng.random(matches).astype(np.float32)
    distances[:2] = 0.0, 1.0
    for column in (rotations, log_scales, distances):
        column[rng.random(matches) < 0.2] = np.nan
    return dataclasses.replace(
        synthetic_pair(seed, matches),
        rotations=rotations,
        log_scales=log_scales,
        distances=distances,
    )


def test_the_length_of_a_translation_says_nothing(tmp_path: Path) -> None:
    """Dumps in metres and dumps of directions give the same pairs."""
    pair = synthetic_pair(0)
    metric = dataclasses.replace(pair, translation=7.0 * pair.translation)
    with DumpFile(write_dump(tmp_path / "metres.h5", [metric])) as dump:
        np.testing.assert_allclose(dump[0].translation, pair.translation)
        np.testing.assert_allclose(dump[0].residual, pair.residual)


def test_evidence_survives_with_what_is_unknown(tmp_path: Path) -> None:
    pairs = [known_pair(0), known_pair(1, matches=90)]
    once = compacted(tmp_path / "once.h5", write_dump(tmp_path / "dump.h5", pairs))
    twice = compacted(tmp_path / "twice.h5", once)
    with DumpFile(once) as one, DumpFile(twice) as other:
        for pair, again, expected in zip(one, other, pairs, strict=True):
            np.testing.assert_array_equal(pair.evidence, again.evidence)
            np.testing.assert_array_equal(
                np.isnan(pair.evidence), np.isnan(expected.evidence), strict=True
            )
            turned = np.abs(pair.rotations - expected.rotations)
            turned = np.minimum(turned, 2 * np.pi - turned)
            assert np.nanmax(turned) <= np.pi / 255 + 1e-6
            assert np.nanmin(pair.rotations) >= -np.pi - 1e-6
            assert np.nanmax(np.abs(pair.log_scales - expected.log_scales)) <= 1 / 32 + 1e-6
            assert np.nanmax(np.abs(pair.distances - expected.distances)) <= 1 / 508 + 1e-6
            assert 0 < np.isnan(pair.rotations).sum() < len(pair.rotations)


def test_sizes_beyond_the_range_are_its_ends_and_not_unknown(tmp_path: Path) -> None:
    log_scales = np.array([-30.0, -7.97, 7.97, 30.0, np.nan], np.float32)
    pair = dataclasses.replace(synthetic_pair(0, matches=5), log_scales=log_scales)
    with DumpFile(compacted(tmp_path / "a.h5", write_dump(tmp_path / "b.h5", [pair]))) as small:
        end = 127 / 16
        np.testing.assert_array_equal(small[0].log_scales, [-end, -end, end, end, np.nan])


def test_what_the_front_end_does_not_tell_stays_unknown(tmp_path: Path) -> None:
    pair = dataclasses.replace(
        known_pair(0), rotations=np.full(200, np.nan), log_scales=None, distances=None
    )
    with DumpFile(compacted(tmp_path / "a.h5", write_dump(tmp_path / "b.h5", [pair]))) as small:
        assert np.isnan(small[0].rotations).all()
        assert small[0].log_scales is None
        assert np.isnan(small[0].evidence[:, 2:]).all()
        assert np.isfinite(small[0].evidence[:, :2]).all()


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_dumps_with_and_without_evidence_join(tmp_path: Path, order: tuple[int, ...]) -> None:
    """In any order; what a dump does not hold is unknown of its pairs."""
    pairs = [synthetic_pair(0, 80), known_pair(1), synthetic_pair(2, 50)]
    paths = [write_dump(tmp_path / f"{n}.h5", [pair]) for n, pair in enumerate(pairs)]
    with DumpFile(compacted(tmp_path / "all.h5", *(paths[n] for n in order))) as small:
        for pair, n in zip(small, order, strict=True):
            assert pair.name == pairs[n].name
            assert len(pair.rotations) == len(pair.distances) == len(pairs[n].ratios)
            assert np.isnan(pair.log_scales).all() == (n != 1)


def test_the_first_layout_can_still_be_read(tmp_path: Path) -> None:
    pair = synthetic_pair(0)
    path = compacted(tmp_path / "small.h5", write_dump(tmp_path / "dump.h5", [pair]))
    with h5py.File(path, "a") as file:
        assert file.attrs["layout"] == "msga compact 2"
        file.attrs["layout"] = "msga compact 1"  # which had no further groups
    with DumpFile(path) as small:
        assert np.abs(small[0].correspondences - pair.correspondences).max() < COORDINATE_STEP
        assert small[0].evidence.shape == (len(pair.ratios), 5)
        assert np.isnan(small[0].evidence[:, 2:]).all()


def test_real_pairs_keep_their_coordinates_and_take_little_space(tmp_path: Path) -> None:
    with DumpFile(shared_path("data/train-3.h5")) as dump:
        chosen = range(0, len(dump), 40)
        arrays = [dump.arrays(index) for index in chosen]
        expected = [dump[index] for index in chosen]
        names = [dump.name(index) for index in chosen]
    path = tmp_path / "small.h5"
    write_compact(path, arrays, names)
    with DumpFile(path) as small:
        for pair, whole in zip(small, expected, strict=True):
            # These dumps are rounded to the same step already.
            np.testing.assert_array_equal(pair.correspondences, whole.correspondences)
            np.testing.assert_array_equal(pair.mutuals, whole.mutuals)
            np.testing.assert_array_equal(pair.rotation, whole.rotation.astype(np.float32))
    assert path.stat().st_size < 10 * sum(len(pair.ratios) for pair in expected)  # bytes


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    pair = synthetic_pair(0)
    arrays = {"xs": pair.correspondences[None], "Rs": pair.rotation, "ts": pair.translation}
    broken = dict(arrays, xs=np.full((1, 3, 4), np.nan))
    with pytest.raises(ValueError, match="finite"):
        write_compact(tmp_path / "a.h5", [broken], ["a"])
    with pytest.raises(ValueError, match="same groups"):
        write_compact(tmp_path / "b.h5", [arrays, dict(arrays, ratios=pair.ratios)], ["a", "b"])


def test_mistakes_on_the_command_line_are_one_line(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "dump.h5", [synthetic_pair(0)])
    (tmp_path / "text.h5").write_text("no dump")
    for arguments, message in (
        ([tmp_path / "none.h5"], "not found"),
        ([tmp_path / "text.h5"], "HDF5"),
    ):
        result = CliRunner().invoke(
            app, ["compact", *map(str, arguments), "-o", str(tmp_path / "out.h5")]
        )
        assert result.exit_code == 2
        assert message in result.output
    result = CliRunner().invoke(app, ["compact", str(dump), "-o", str(dump)])
    assert result.exit_code == 2 and "--overwrite" in result.output
    result = CliRunner().invoke(app, ["compact", str(dump), "-o", str(dump), "--overwrite"])
    assert result.exit_code == 0
    with DumpFile(dump) as small:
        assert len(small) == 1


@pytest.mark.parametrize(
    ("group", "values", "reason"),
    [
        ("xs", np.full((1, 300, 4), np.nan), "coordinates must be finite"),
        ("ratios", np.full(300, np.nan), "ratios hold NaN"),
        ("f1s", np.ones(5), r"f1s is of shape \(5,\)"),
    ],
)
def test_the_pair_that_cannot_be_written_is_named(
    tmp_path: Path, group: str, values: np.ndarray, reason: str
) -> None:
    dump = write_dump(tmp_path / "dump.h5", [synthetic_pair(seed) for seed in range(2)])
    with h5py.File(dump, "a") as file:
        del file[group]["1"]
        file[group]["1"] = values
    result = CliRunner().invoke(app, ["compact", str(dump), "-o", str(tmp_path / "c.h5")])
    assert result.exit_code == 2
    (line,) = result.output.strip().splitlines()
    assert re.search(rf"dump\.h5: pair .*: {reason}", line)


def test_a_broken_compact_file_is_named(tmp_path: Path) -> None:
    path = compacted(tmp_path / "small.h5", write_dump(tmp_path / "dump.h5", [synthetic_pair(0)]))
    with h5py.File(path, "a") as file:
        del file["counts"]
    with pytest.raises(DumpError, match=r"small\.h5"):
        DumpFile(path)


def test_thinned_pairs_are_a_choice_of_rows_with_their_own_evidence(tmp_path: Path) -> None:
    pair = known_pair(0, matches=400)
    mutual = pair.mutuals.sum()
    assert 100 < mutual < 200
    dump = write_dump(tmp_path / "dump.h5", [pair])
    whole = compacted(tmp_path / "whole.h5", dump)
    for most, expected in ((90, 60), (300, mutual), (399, mutual), (400, mutual), (0, mutual)):
        path = compacted(tmp_path / f"{most}.h5", dump, "--most-matches", str(most), "--seed", "4")
        with DumpFile(path) as small, DumpFile(whole) as full:
            few, every = table(small[0]), table(full[0])
        assert len(few) == (most or 400)
        assert len(np.unique(few, axis=0)) == len(few)
        assert {row.tobytes() for row in few} <= {row.tobytes() for row in every}
        assert few[:, 5].sum() == expected


def test_a_uniform_choice_keeps_the_share_of_mutual_matches(tmp_path: Path) -> None:
    pair = synthetic_pair(0, matches=4000)
    dump = write_dump(tmp_path / "dump.h5", [pair])
    shares = []
    for options in ((), ("--uniform",)):
        path = tmp_path / f"{len(options)}.h5"
        with DumpFile(compacted(path, dump, "--most-matches", "2000", *options)) as small:
            assert len(small[0].mutuals) == 2000
            shares.append(small[0].mutuals.mean())
    mutual = pair.mutuals.mean()
    assert shares[0] > mutual + 0.2
    assert shares[1] == pytest.approx(mutual, abs=0.04)


def test_what_the_filter_leaves_is_kept_before_all_else(tmp_path: Path) -> None:
    pair = synthetic_pair(0, matches=1000)
    odd = np.arange(1000) % 5 == 0  # mutual with a ratio that the filter does not pass, or not
    pair = dataclasses.replace(pair, mutuals=pair.mutuals ^ odd)
    passing = int((pair.mutuals & (pair.ratios < 0.95)).sum())
    assert 200 < passing < int(pair.mutuals.sum()) - 50
    dump = write_dump(tmp_path / "dump.h5", [pair])
    for most, expected in ((passing + 50, passing), (passing - 50, passing - 50)):
        path = tmp_path / f"{most}.h5"
        options = ("--most-matches", str(most), "--prefer", "filtered")
        with DumpFile(compacted(path, dump, *options)) as small:
            few = small[0]
        assert len(few.mutuals) == most
        assert int((few.mutuals & (few.ratios < 0.95)).sum()) == expected


def test_thinning_fills_up_where_one_kind_is_rare(tmp_path: Path) -> None:
    pair = synthetic_pair(0, matches=100)
    for count, expected in ((5, 5), (95, 45), (100, 50)):
        mutuals = np.arange(100) < count
        dump = write_dump(tmp_path / f"{count}.h5", [dataclasses.replace(pair, mutuals=mutuals)])
        path = compacted(tmp_path / f"{count}-50.h5", dump, "--most-matches", "50")
        with DumpFile(path) as small:
            assert (len(small[0].mutuals), small[0].mutuals.sum()) == (50, expected)


def test_what_is_drawn_is_random_and_follows_the_seed(tmp_path: Path) -> None:
    pairs = [synthetic_pair(index, matches=200) for index in range(12)]  # of two places in turn
    dumps = [write_dump(tmp_path / "a.h5", pairs[:7]), write_dump(tmp_path / "b.h5", pairs[7:])]
    drawn = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        options = ("--pairs", "4", "--most-matches", "50", "--seed", str(seed))
        with DumpFile(compacted(tmp_path / f"{name}.h5", *dumps, *options)) as small:
            drawn[name] = [(pair.name, table(pair)) for pair in small]
    names = {name: [entry[0] for entry in entries] for name, entries in drawn.items()}
    places = [name.split()[0] for name in names["one"]]
    assert sorted(places) == ["scene0"] * 4 + ["scene1"] * 4
    order = [pair.name for pair in pairs]
    assert sorted(names["one"], key=order.index) == names["one"] == names["again"]
    assert names["one"] != names["other"]
    for (_, one), (_, again) in zip(drawn["one"], drawn["again"], strict=True):
        np.testing.assert_array_equal(one, again)
    common = set(names["one"]) & set(names["other"])
    assert common
    for name in common:
        assert not np.array_equal(dict(drawn["one"])[name], dict(drawn["other"])[name])


def table(pair: Pair) -> np.ndarray:
    """Coordinates and evidence of a pair, NaN as 9, one match a row."""
    return np.nan_to_num(np.hstack((pair.correspondences, pair.evidence)), nan=9.0)
