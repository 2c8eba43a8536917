"""Places are proposed by SIFT and verified by whatever front end the pipeline has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from learned_extra import need

from msga_ros.datasets.sequences.folder import FolderSequence
from msga_ros.frontend.base import FrontendError
from msga_ros.geometry.camera import Camera
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.places import packaged_places
from msga_ros.loops.reports import View
from msga_ros.loops.store import KeyframeStore, StoreError
from msga_ros.loops.vlad import Vocabulary
from msga_ros.two_view.pipeline import TwoViewPipeline


@pytest.mark.parametrize(("name", "most"), [("orb", 700), ("fast_sift", 1000), ("xfeat", 700)])
def test_a_road_is_known_again_after_a_restart(
    kitti: Path, tmp_path: Path, name: str, most: int
) -> None:
    """By features that were read from the file: those of the way there are another run's."""
    need(name)
    entries = {"frontend.name": name, "frontend.max_keypoints": most, "frontend.device": "cpu"}
    pipeline = TwoViewPipeline.from_config(**entries, **{"sieve.name": "none"})
    places = packaged_places(pipeline.config.frontend)
    assert isinstance(places.vocabulary, Vocabulary)
    assert (places.extractor is None) == (name == "fast_sift")  # SIFT beside it costs its time
    frames = list(FolderSequence(kitti, stereo=True))[:4:3]
    config = LoopConfig(min_inliers=40, support=0)
    with KeyframeStore(tmp_path / "map") as store:
        mapper = LoopMapper(store, pipeline, places, config)
        for frame in frames:
            assert frame.poses is not None
            left = frame.images["left"], frame.cameras["left"], frame.poses["left"]
            assert not mapper.add(View("there", frame.stamp, *left)).accepted
    with KeyframeStore(tmp_path / "map", in_memory=1) as store:
        assert store[0].frontend == name and store[0].descriptor.shape == (128,)
        mapper = LoopMapper(store, pipeline, places, config)
        for frame in frames:
            assert frame.poses is not None
            right = frame.images["right"], frame.cameras["right"], frame.poses["right"]
            loops = mapper.add(View("again", 100.0 + frame.stamp, *right)).accepted
            (loop,) = loops
            seen = frames[loop.reference].poses
            assert seen is not None and loop.inliers > 100
            true = frame.poses["right"].relative_to(seen["left"]).inverse()
            np.testing.assert_allclose(loop.pose.rotation, true.rotation, atol=0.02)
            there, here = loop.pose.position, true.translation
            assert there @ here > 0.97 * np.linalg.norm(there) * np.linalg.norm(here)
        found = mapper.locate(*right[:2])
        assert found.found
    sift = packaged_places(TwoViewPipeline.from_config(**{"sieve.name": "none"}).config.frontend)
    with (
        KeyframeStore(tmp_path / "map") as store,
        pytest.raises(StoreError, match=f"features of {name}, not of sift"),
    ):
        LoopMapper(store, pipeline, sift, config)
    words = replace(places.vocabulary, mean=np.zeros_like(places.vocabulary.mean))
    with (
        KeyframeStore(tmp_path / "map") as store,
        pytest.raises(StoreError, match="by the vocabulary"),
    ):
        LoopMapper(store, pipeline, replace(places, vocabulary=words), config)


def test_quick_sift_is_at_home_in_the_vocabulary_of_sift(kitti: Path) -> None:
    """An image is more like itself by the other front end than like one of another stretch."""
    frames = list(FolderSequence(kitti, stereo=True))[::20]
    images = [frame.images["left"] for frame in frames]
    tables = []
    for name in ("sift", "fast_sift"):
        pipeline = TwoViewPipeline.from_config(**{"frontend.name": name, "sieve.name": "none"})
        places = packaged_places(pipeline.config.frontend)
        tables.append([places.describe(one, pipeline.extract(one)) for one in images])
    similar = np.stack(tables[0]) @ np.stack(tables[1]).T
    assert len(frames) >= 2
    np.testing.assert_array_equal(similar.argmax(axis=1), np.arange(len(frames)))


def test_points_that_are_followed_cannot_be_kept(tmp_path: Path) -> None:
    pipeline = TwoViewPipeline.from_config(**{"frontend.name": "tracks", "sieve.name": "none"})
    image = np.random.default_rng(0).integers(0, 255, (240, 320), np.uint8)
    camera = Camera.pinhole(300, 300, 160, 120, 320, 240)
    with KeyframeStore(tmp_path / "map") as store:
        mapper = LoopMapper(store, pipeline, packaged_places(pipeline.config.frontend))
        with pytest.raises(FrontendError, match="tracks: points that are found with the other"):
            mapper.add(View("one", 0.0, image, camera))
        assert len(store) == 0
