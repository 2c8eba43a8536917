"""Chains of transforms as a robot's description gives them, and what cannot be."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from msga_ros.geometry.rotations import quaternion, rotation_matrix
from msga_ros.odometry.poses import pose_matrix
from msga_ros.stream import static_transforms
from msga_ros.stream.static_transforms import StaticTransforms

STILL = (0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def robot() -> tuple[StaticTransforms, dict[str, np.ndarray]]:
    """base_footprint, base_link, a mast with two cameras; and each in base_footprint (4, 4)."""
    rng, known = np.random.default_rng(3), {"base_footprint": np.eye(4)}
    transforms = StaticTransforms()
    for parent, child in (
        ("camera", "camera_optical"),  # in any order
        ("base_footprint", "base_link"),
        ("mast", "camera"),
        ("base_link", "mast"),
        ("mast", "thermal"),
    ):
        turn, shift = rotation_matrix(rng.normal(size=3)), rng.normal(size=3)
        assert transforms.add(parent, child, shift, quaternion(turn)) == ""
        known[f"{parent} {child}"] = pose_matrix(turn, shift)
    for way in ("base_link", "base_link mast", "base_link mast camera", "base_link mast thermal"):
        chain = ["base_footprint", *way.split()]
        steps = itertools.pairwise(chain)
        known[chain[-1]] = np.linalg.multi_dot(
            [np.eye(4), np.eye(4), *(known[f"{a} {b}"] for a, b in steps)]
        )
    known["camera_optical"] = known["camera"] @ known["camera camera_optical"]
    return transforms, known


@pytest.mark.parametrize("target", ["base_footprint", "base_link", "thermal", "camera_optical"])
@pytest.mark.parametrize("source", ["camera_optical", "/camera_optical", "mast", "base_footprint"])
def test_the_way_from_any_frame_to_any_other(
    robot: tuple[StaticTransforms, dict[str, np.ndarray]], target: str, source: str
) -> None:
    transforms, known = robot
    found = transforms.lookup(target, source)
    assert found is not None
    right = np.linalg.inv(known[target]) @ known[source.lstrip("/")]
    np.testing.assert_allclose(pose_matrix(*found), right, atol=1e-9)


def test_the_newest_transform_of_a_frame_holds() -> None:
    transforms = StaticTransforms()
    for ahead in (1.0, 2.0):
        transforms.add("base_link", "camera", (ahead, 0, 0), STILL)
    found = transforms.lookup("base_link", "camera")
    assert found is not None and found[1][0] == 2.0
    assert transforms.parent("/camera") == "base_link" and transforms.parent("base_link") == ""


@pytest.mark.parametrize(
    ("parent", "child", "shift", "turn", "says"),
    [
        ("base", "camera", (float("nan"), 0, 0), STILL, "NaN"),
        ("base", "camera", (0, 0, 0), (0, 0, 0, 0), "no rotation"),
        ("base", "camera", (0, 0, 0), (0, 0, 0, float("inf")), "NaN or infinity"),
        ("base", "/base", (0, 0, 0), STILL, "two different frames"),
        ("base", "", (0, 0, 0), STILL, "two different frames"),
    ],
)
def test_what_is_no_transform_is_refused_and_named(
    parent: str, child: str, shift: tuple[float, ...], turn: tuple[float, ...], says: str
) -> None:
    transforms = StaticTransforms()
    assert says in transforms.add(parent, child, shift, turn)
    assert transforms.lookup("base", "camera") is None


def test_frames_in_a_circle_end_somewhere() -> None:
    transforms = StaticTransforms()
    for parent, child in (("a", "b"), ("b", "c"), ("c", "a")):
        transforms.add(parent, child, (1.0, 0, 0), STILL)
    assert transforms.lookup("nowhere", "a") is None
    assert transforms.lookup("a", "c") is not None


def test_the_number_of_frames_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_transforms, "_MOST_FRAMES", 3)
    transforms = StaticTransforms()
    said = [transforms.add("base", f"frame{number}", (0, 0, 0), STILL) for number in range(5)]
    assert said[:3] == ["", "", ""] and all("3 frames already" in one for one in said[3:])
    assert transforms.add("other", "frame1", (0, 0, 0), STILL) == ""  # a known one may move


def test_why_two_frames_are_not_connected() -> None:
    transforms = StaticTransforms()
    assert "nothing came" in transforms.explain("base_link", "camera")
    transforms.add("camera", "camera_optical", (0, 0, 0), STILL)
    said = transforms.explain("base_link", "camera_optical")
    assert "no frame 'base_link'" in said and "camera, camera_optical" in said
    transforms.add("base_link", "imu", (0, 0, 0), STILL)
    said = transforms.explain("base_link", "camera_optical")
    assert "'base_link' hangs from 'base_link'" in said
    assert "'camera_optical' from 'camera'" in said


def test_of_a_message_what_can_be_is_taken_and_the_rest_is_named() -> None:
    def sent(child: str, *turn: float) -> SimpleNamespace:
        rotation = SimpleNamespace(**dict(zip("xyzw", turn, strict=True)))
        shift = SimpleNamespace(x=1.0, y=2.0, z=3.0)
        moved = SimpleNamespace(translation=shift, rotation=rotation)
        header = SimpleNamespace(frame_id="base")
        return SimpleNamespace(header=header, child_frame_id=child, transform=moved)

    transforms = StaticTransforms()
    half_turn = (0.0, 0.0, 1.0, 0.0)
    (problem,) = transforms.add_all(
        [sent("mast", *half_turn), sent("arm", 0, 0, 0, 5), sent("eye", *STILL)]
    )
    assert "'arm'" in problem and "no rotation" in problem
    turned, place = transforms.lookup("base", "mast") or ()
    assert np.allclose(turned, np.diag([-1.0, -1.0, 1.0])) and np.allclose(place, [1, 2, 3])
    assert transforms.parent("eye") == "base" and transforms.parent("arm") == ""
