"""Features and matches from elsewhere: what fits is taken as it is, what cannot be is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from msga_ros.frontend.from_arrays import ArraysError, features_from_arrays, matches_from_arrays

RNG = np.random.default_rng(0)
POINTS = RNG.uniform(0, 500, (6, 2))


def test_features_of_both_kinds_of_descriptors() -> None:
    real = features_from_arrays(POINTS.tolist(), RNG.normal(size=(6, 4)), (640, 480))
    assert real.descriptors.dtype == np.float32 and real.keypoints.dtype == np.float32
    assert real.image_size == (640, 480) and (real.angles, real.sizes) == (None, None)
    np.testing.assert_array_equal(real.scores, np.ones(6))
    bits = RNG.integers(0, 256, (6, 32), np.uint8)
    angles = [0.1, np.nan, 3.0, 40.0, -2.0, 0.0]
    binary = features_from_arrays(POINTS, bits, (640, 480), sizes=range(6), angles=angles)
    np.testing.assert_array_equal(binary.descriptors, bits)
    assert binary.descriptors.dtype == np.uint8
    np.testing.assert_array_equal(binary.angles, np.float32(angles))
    np.testing.assert_array_equal(binary.sizes, np.arange(6, dtype=np.float32))


def test_an_image_may_be_without_keypoints() -> None:
    assert len(features_from_arrays(np.empty((0, 2)), np.empty((0, 128)), (640, 480))) == 0


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"keypoints": np.zeros((6, 3))}, "points"),
        ({"keypoints": np.zeros(12)}, "points"),
        ({"keypoints": np.full((6, 2), np.inf)}, "points"),
        ({"keypoints": np.full((6, 2), -1e30)}, "points"),
        ({"descriptors": np.zeros((5, 4))}, "descriptors"),
        ({"descriptors": np.zeros((6, 0))}, "descriptors"),
        ({"descriptors": np.zeros(6)}, "descriptors"),
        ({"descriptors": np.where(np.eye(6) > 0, np.nan, 0)}, "descriptors"),
        ({"descriptors": np.where(np.eye(6) > 0, np.inf, 0)}, "descriptors"),
        ({"descriptors": np.full((6, 4), 1e20)}, "descriptors"),
        ({"scores": np.zeros(5)}, "points"),
        ({"angles": np.zeros((6, 1))}, "points"),
        ({"sizes": [1, 2, 3, 4, 5, np.inf]}, "points"),
    ],
)
def test_features_that_cannot_be(changed: dict[str, Any], kind: str) -> None:
    values: dict[str, Any] = {"keypoints": POINTS, "descriptors": np.zeros((6, 4)), **changed}
    with pytest.raises(ArraysError) as refused:
        features_from_arrays(image_size=(640, 480), **values)
    assert refused.value.kind == kind


def test_what_is_known_of_matches_is_kept() -> None:
    evidence = np.array([[0.5, 1, -3.14159274, 2.0, np.nan]] * 6)
    matches = matches_from_arrays(POINTS, POINTS + 1, evidence, np.linspace(0, 1, 6))
    np.testing.assert_array_equal(matches.evidence, np.float32(evidence))
    np.testing.assert_array_equal(matches.confidence, np.linspace(0, 1, 6, dtype=np.float32))
    some = matches_from_arrays(POINTS, POINTS, evidence[:, :2])
    assert some.mutual is not None and some.rotation is None
    nan = np.full((6, 2), np.nan)  # lost tracks
    assert np.isnan(matches_from_arrays(nan, POINTS).keypoints0).all()


@pytest.mark.parametrize(
    ("column", "value"),
    [(0, 1.1), (0, -0.1), (1, 2.0), (2, 3.2), (3, 65.0), (3, -np.inf), (4, np.inf), (4, 1e30)],
)
def test_evidence_out_of_its_range(column: int, value: float) -> None:
    evidence = np.full((6, 5), np.nan)
    evidence[4, column] = value
    with pytest.raises(ArraysError, match="must lie in") as refused:
        matches_from_arrays(POINTS, POINTS, evidence)
    assert refused.value.kind == "evidence"


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf])
def test_confidence_out_of_its_range(value: float) -> None:
    with pytest.raises(ArraysError) as refused:
        matches_from_arrays(POINTS, POINTS, confidence=[0.5] * 5 + [value])
    assert refused.value.kind == "confidence"


@pytest.mark.parametrize("spoiled", [np.full((6, 2), 1e7), np.full((6, 2), np.inf), POINTS[:5]])
def test_matches_that_cannot_be(spoiled: np.ndarray) -> None:
    for points in ((POINTS, spoiled), (spoiled, POINTS)):
        with pytest.raises(ArraysError) as refused:
            matches_from_arrays(*points)
        assert refused.value.kind == "points"
