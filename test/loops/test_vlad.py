"""The global descriptor of an image, and the vocabulary that it needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msga_ros.frontend.config import FrontendConfig
from msga_ros.loops.vlad import (
    Vocabulary,
    VocabularyError,
    packaged_vocabulary,
    principal_components,
    residual_sums,
)
from msga_ros.two_view.chosen_stages import create_frontend

RNG = np.random.default_rng(0)


def unit(shape: tuple[int, int]) -> np.ndarray:
    values = np.abs(RNG.normal(size=shape)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def test_residuals_to_the_nearest_centre() -> None:
    centres = np.float32([[0, 0], [10, 0], [50, 50]])
    found = residual_sums(np.float32([[1, 1], [2, 2], [10, 3]]), centres).reshape(3, 2)
    expected = np.array([[np.sqrt(0.5), np.sqrt(0.5)], [0, 1], [0, 0]])
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-6)


def test_the_packaged_vocabulary_describes_what_sift_finds() -> None:
    vocabulary = packaged_vocabulary()
    assert (vocabulary.frontend, vocabulary.length) == ("sift", 128)
    local = unit((300, 128))
    described = vocabulary.describe(local)
    assert described.dtype == np.float32 and np.linalg.norm(described) == pytest.approx(1, abs=1e-5)
    # It does not matter in which order the features come.
    np.testing.assert_allclose(vocabulary.describe(local[::-1]), described, atol=1e-4)
    assert not vocabulary.describe(local[:0]).any()


def test_an_image_is_more_like_itself_seen_otherwise_than_like_another() -> None:
    frontend, vocabulary = create_frontend(FrontendConfig()), packaged_vocabulary()
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (30, 40), np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(6)]
    shifted = [np.roll(image, (24, 40), (0, 1)) // 2 + 60 for image in images]
    first, second = (
        np.stack([vocabulary.describe(frontend.extract(one).descriptors) for one in views])
        for views in (images, shifted)
    )
    np.testing.assert_array_equal((second @ first.T).argmax(axis=1), np.arange(6))


@pytest.mark.parametrize("wrong", [np.zeros((4, 64), np.float32), np.zeros((4, 128), np.uint8)])
def test_features_of_another_front_end_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(VocabularyError, match="of sift"):
        packaged_vocabulary().describe(wrong)


def test_a_front_end_without_vocabulary_is_named() -> None:
    with pytest.raises(VocabularyError, match=r"no vocabulary of 'orb' .*sift"):
        packaged_vocabulary("orb")


def test_files(tmp_path: Path) -> None:
    images = RNG.normal(size=(30, 8)).astype(np.float32)
    mean, projection = principal_components(images, 4)
    white = (images - mean) @ projection.T
    np.testing.assert_allclose(np.cov(white.T), np.eye(4), atol=1e-3)
    path = tmp_path / "made.safetensors"
    Vocabulary(unit((2, 4)), mean, projection, "other").save(path)
    read = Vocabulary.load(path)
    assert read.frontend == "other"
    np.testing.assert_allclose(read.projection, projection, rtol=1e-3, atol=1e-4)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(VocabularyError, match="made"):
        Vocabulary.load(path)
    Vocabulary(unit((2, 4)), mean, projection[:, 1:], "other").save(path)
    with pytest.raises(VocabularyError, match="belong together"):
        Vocabulary.load(path)
    with pytest.raises(VocabularyError, match="30 images"):
        principal_components(images, 30)


def test_another_vocabulary_has_another_identity() -> None:
    first = packaged_vocabulary()
    assert first.identity == packaged_vocabulary().identity
    for name in ("centres", "mean", "projection"):
        changed = getattr(first, name).copy()
        changed.flat[-1] += 0.5
        assert replace(first, **{name: changed}).identity != first.identity
