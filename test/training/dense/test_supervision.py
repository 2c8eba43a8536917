"""What the losses of the detector-free matcher are told: against images and geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from msga_ros.datasets.photographs.pack import (
    Photograph,
    PhotographError,
    read_photographs,
    write_photographs,
)
from msga_ros.datasets.photographs.rendered import rendered_room
from msga_ros.training.dense.batches import DenseBatchConfig, DenseBatchSource
from msga_ros.training.dense.truth import cell_truth, epipolar_bands, point_truth
from msga_ros.training.dense.views import HIDDEN, UNKNOWN, VISIBLE, DenseBatch, sample

SIZE = (96, 64)  # width, height of the views


def photographs(count: int = 4) -> list[np.ndarray]:
    """Smooth grey images, each unlike the others."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(0, 255, (count, 1, 12, 16)).astype(np.float32)
    large = torch.nn.functional.interpolate(torch.from_numpy(noise), (120, 160), mode="bicubic")
    return list(large[:, 0].clamp(0, 255).numpy().astype(np.uint8))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Photographs with poses, and two rendered rooms with depth."""
    folder = tmp_path_factory.mktemp("photographs")
    textures = photographs()
    images, pairs = rendered_room(textures, "room", np.random.default_rng(3), views=3, size=SIZE)
    write_photographs(folder / "rooms.h5", images, pairs)
    plain = []
    for number, grey in enumerate(textures):
        camera = np.array([[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]])
        shift = np.array([0.1 * number, 0.0, 0.0])
        plain.append(Photograph(grey, camera, np.eye(3), shift, "place"))
    write_photographs(folder / "plain.h5", plain, [(0, 1), (1, 3)])
    return str(folder / "plain.h5"), str(folder / "rooms.h5")


def batch(files: tuple[str, str], *shares: float, iteration: int = 0, pairs: int = 6) -> DenseBatch:
    config = DenseBatchConfig(
        photographs=files[:1],
        with_depth=files[1:],
        pairs=pairs,
        width=SIZE[0],
        height=SIZE[1],
        shares=(shares[0], shares[1], shares[2]),
        photometric=False,
    )
    return DenseBatchSource(config, seed=1).batch(iteration)


def test_photographs_come_back_from_their_file(files: tuple[str, str], tmp_path: Path) -> None:
    found = read_photographs(files[1])
    assert found.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    images, _ = rendered_room(photographs(), "room", np.random.default_rng(3), 3, SIZE)
    for one, other in zip(found.images, images, strict=True):
        assert one.place == "room"
        np.testing.assert_array_equal(one.rotation, other.rotation)
        np.testing.assert_array_equal(one.camera, other.camera)
        assert one.inverse_depth is not None and other.inverse_depth is not None
        np.testing.assert_allclose(one.inverse_depth, other.inverse_depth, atol=2e-5)
        assert np.abs(one.grey.astype(int) - other.grey).mean() < 4  # JPEG
    assert read_photographs(files[0]).images[0].inverse_depth is None
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"nothing")
    with pytest.raises(PhotographError, match="not a file of photographs"):
        read_photographs(broken)


@pytest.mark.parametrize("shares", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)])
def test_the_other_view_shows_the_same_where_it_is_said_to_be(
    files: tuple[str, str], shares: tuple[float, float, float]
) -> None:
    made = batch(files, *shares)
    for image, other, target, state in (
        (made.image0, made.image1, made.target0, made.state0),
        (made.image1, made.image0, made.target1, made.state1),
    ):
        visible = (state == VISIBLE).unsqueeze(1)
        assert 0.1 < visible.float().mean() < 0.99
        assert (state == HIDDEN).any()
        there = sample(other, target.permute(0, 2, 3, 1))
        right = (there - image).abs()[visible].mean()
        assert right < 0.35 * (other - image).abs()[visible].mean()
        limit = torch.tensor([*SIZE]).view(1, 2, 1, 1) - 1
        inside = (target >= -1e-3) & (target <= limit + 1e-3)
        assert inside.all(1)[state == VISIBLE].all()


def test_there_and_back_is_where_one_started(files: tuple[str, str]) -> None:
    made = batch(files, 1.0, 0.0, 0.0)
    images, rows, columns = (made.state0 == VISIBLE).nonzero().T
    start = torch.stack((columns, rows), 1).float()
    there = made.target0.permute(0, 2, 3, 1)[images, rows, columns]
    back = point_truth(made.target1, made.state1, images, there)
    assert back.visible.float().mean() > 0.9
    error = (back.places1 - start).norm(dim=1)[back.visible]
    assert error.median() < 0.01


def test_a_thing_in_front_hides_what_is_behind(files: tuple[str, str]) -> None:
    """In view 0 a wall behind; in view 1 a nearer plane over its left half."""
    camera = np.array([[80.0, 0, 47.5], [0, 80.0, 31.5], [0, 0, 1]])
    far, near = np.full((64, 96), 0.2, np.float32), np.full((64, 96), 0.2, np.float32)
    near[:, :48] = 0.5
    views = [
        Photograph(np.zeros((64, 96), np.uint8), camera, np.eye(3), np.zeros(3), "x", depth)
        for depth in (far, near)
    ]
    path = Path(files[1]).with_name("front.h5")
    write_photographs(path, views, [(0, 1)])
    config = DenseBatchConfig((), (str(path),), 8, *SIZE, shares=(0.0, 1.0, 0.0))
    made = DenseBatchSource(config, seed=0).batch(0)
    behind = [one for one in made.state0 if (one == HIDDEN).any()]  # others are turned round
    assert behind
    for state in behind:
        assert (state[:, :44] == HIDDEN).all() and (state[:, 52:] == VISIBLE).all()


def test_bands_hold_the_true_partner(files: tuple[str, str]) -> None:
    """Cameras side by side: partners are in the same row of the photograph."""
    made = batch(files, 0.0, 0.0, 1.0)
    assert (made.state0 == UNKNOWN).all()
    inside = epipolar_bands(made.fundamental, SIZE[0] // 8, SIZE[1] // 8, 6.0)
    assert inside.any(2).float().mean() > 0.4  # some lines miss the view
    one_row = inside.view(-1, 8, 12, 8, 12).float().amax(4)  # (pair, row, column, row of view 1)
    assert (one_row.sum(3) <= 2).all()  # a band of 12 pixels is at most two rows of cells high


def test_cells_and_points_are_read_between_pixels() -> None:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    target = torch.stack((x + 8.0, y - 2.5))[None]
    state = torch.full((1, 32, 48), VISIBLE, dtype=torch.int8)
    state[0, 3, 3] = HIDDEN
    cells = cell_truth(target, state)
    torch.testing.assert_close(cells.places[0, 7], torch.tensor([19.5, 9.0]))
    assert cells.state[0, :2].tolist() == [UNKNOWN, VISIBLE]
    indices, shares = cells.shares(width=6, height=4)
    # One cell to the right and 2.5 pixels up: between rows 0 and 1 of column 2.
    assert indices[0, 7].tolist() == [2, 3, 8, 9]
    torch.testing.assert_close(shares[0, 7], torch.tensor([0.3125, 0.0, 0.6875, 0.0]))
    at = point_truth(target, state, torch.tensor([0, 0]), torch.tensor([[10.25, 5.5], [3.5, 3.5]]))
    torch.testing.assert_close(at.places1[0], torch.tensor([18.25, 3.0]))
    assert at.visible.tolist() == [True, False] and not at.hidden.any()


def test_batches_depend_on_the_iteration_alone(files: tuple[str, str]) -> None:
    first, again = (batch(files, 0.4, 0.3, 0.3, iteration=5) for _ in range(2))
    for one, other in zip(first.tensors(), again.tensors(), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(first.image0, batch(files, 0.4, 0.3, 0.3, iteration=6).image0)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        DenseBatchConfig(photographs=("x",), height=240, shares=(1.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="need with_depth"):
        DenseBatchConfig(photographs=("x",), shares=(0.5, 0.5, 0.0))
