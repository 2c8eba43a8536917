"""Places that look alike: two patches of one sea bed, sand and small stones on both."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from shared_data import shared_path

from msga_ros.datasets.posed.sources import open_scene
from msga_ros.loops.config import LoopConfig
from msga_ros.loops.mapping import LoopMapper
from msga_ros.loops.reports import Outcome, Verdict, View
from msga_ros.loops.store import KeyframeStore
from msga_ros.loops.vlad import packaged_vocabulary
from msga_ros.two_view.pipeline import TwoViewPipeline

SECONDS = 20.0  # between two views: all of them are candidates of the later ones
PATCHES = ("g2_haltbrekken_seabed_2", "g2_haltbrekken_seabed_3")


def test_two_patches_that_look_alike_do_not_close_and_one_seen_again_does(tmp_path: Path) -> None:
    first, second = (
        {one.name: one for one in open_scene(shared_path(f"data/places/{place}")).images}
        for place in PATCHES
    )
    walk = [first["L22.jpg"], second["L37.jpg"], second["L43.jpg"], first["R22.jpg"]]
    pipeline = TwoViewPipeline.from_config()
    with KeyframeStore(tmp_path / "map") as store:
        mapper = LoopMapper(store, pipeline, packaged_vocabulary(), LoopConfig())
        outcomes: list[Outcome] = []
        for number, one in enumerate(walk):
            pixels = np.asarray(cv2.imread(str(one.path), cv2.IMREAD_GRAYSCALE))
            outcomes.append(mapper.add(View(one.name, number * SECONDS, pixels, one.camera)))
        similarity = store.descriptors @ store.descriptors.T
    assert [one.verdict for one in outcomes] == [Verdict.KEYFRAME] * len(walk)
    # By the global descriptor one could not tell them apart: what is another place is as similar.
    assert similarity[0, 1:3].max() > 0.5, similarity
    assert not any(one.accepted for one in outcomes[:-1])
    (loop,) = outcomes[-1].accepted
    assert loop.reference == 0
