"""Second images turned in their plane: the geometry of the turn, and which turn is tried."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from network.dense.drawn import textured

from msga_ros.frontend.config import FrontendConfig
from msga_ros.network.checkpoint import find_weights
from msga_ros.network.dense import frontend as dense_frontend
from msga_ros.network.dense.frontend import Config
from msga_ros.network.dense.net import DenseMatcher
from msga_ros.network.dense.turning import TurnedImage, best_turn
from msga_ros.two_view.chosen_stages import create_frontend
from msga_ros.two_view.stages import Frontend

IMAGE = textured(192, 256)


@pytest.fixture(scope="module")
def net() -> DenseMatcher:
    return DenseMatcher.load(find_weights("msga_dense")).folded()


@pytest.fixture(scope="module")
def frontend() -> Frontend:
    return create_frontend(FrontendConfig(name="msga_dense", device="cpu"))


@pytest.mark.parametrize(("degrees", "quarters"), [(90.0, 1), (180.0, 2), (-90.0, 3)])
def test_a_right_angle_moves_every_pixel_and_changes_none(degrees: float, quarters: int) -> None:
    turned = TurnedImage.of(IMAGE, degrees)
    np.testing.assert_array_equal(turned.pixels, np.rot90(IMAGE, quarters))
    rows, columns = np.mgrid[0:192:7, 0:256:7].reshape(2, -1)
    places = np.column_stack((columns, rows)) @ turned.matrix[:, :2].T + turned.matrix[:, 2]
    there = turned.pixels[tuple(places.round().astype(int).T[::-1])]
    np.testing.assert_array_equal(there, IMAGE[rows, columns])
    back = turned.back(places.astype(np.float32))
    np.testing.assert_allclose(back, np.column_stack((columns, rows)), atol=1e-3)


@pytest.mark.parametrize("degrees", [30.0, -60.0])
def test_all_of_the_image_is_in_the_turned_one_with_its_edge_in_the_corners(degrees: float) -> None:
    corners = np.array([(0, 0), (255, 0), (0, 191), (255, 191)], float)
    turned = TurnedImage.of(IMAGE // 2 + 100, degrees)
    places = corners @ turned.matrix[:, :2].T + turned.matrix[:, 2]
    height, width = turned.pixels.shape
    assert (places > -1).all() and (places < (width, height)).all()
    assert np.ptp(places, axis=0) == pytest.approx((width - 1, height - 1), abs=2)
    assert turned.pixels.min() >= 100


@pytest.mark.parametrize("degrees", [0.0, 60.0, -90.0, 180.0])
def test_the_turn_back_is_the_best_one(net: DenseMatcher, degrees: float) -> None:
    turned = TurnedImage.of(IMAGE, degrees).pixels
    found = best_turn(net, IMAGE, turned, torch.device("cpu"))
    assert found == (degrees if degrees == 180.0 else -degrees)


def test_a_turn_is_tried_where_few_matches_are_sure_and_taken_where_it_finds_more(
    frontend: Frontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def wrong(*_: object) -> float:
        asked.append(True)
        return 180.0

    monkeypatch.setattr(dense_frontend, "best_turn", wrong)
    features = frontend.extract(IMAGE)
    plain = frontend.match(features, features)
    cells = 192 * 256 / 64
    assert not asked and 0.1 * cells < len(plain)
    always = frontend.reconfigured(FrontendConfig(name="msga_dense", own=Config(turn_below=1.0)))
    part = always.extract(IMAGE[:, :128])
    kept = always.match(features, part)
    assert asked
    np.testing.assert_array_equal(kept.keypoints1, frontend.match(features, part).keypoints1)
