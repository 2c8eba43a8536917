"""The rig that camera_info describes."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from msga_ros.geometry.camera import CameraError
from msga_ros.stream.camera_info import rig_from_camera_info

K = np.array([[400.0, 0, 320], [0, 405.0, 240], [0, 0, 1]])
SIZE = (640, 480)


@pytest.mark.parametrize("shift", [(-0.12, 0.004, 0.01), (0.006, -0.2, -0.01)])
def test_rig_of_raw_images(shift: tuple[float, float, float]) -> None:
    """From what OpenCV's stereo calibration writes into camera_info back to the rig itself."""
    rotation = cv2.Rodrigues(np.array([0.02, -0.03, 0.01]))[0]
    found = cv2.stereoRectify(K, np.zeros(5), K, np.zeros(5), SIZE, rotation, np.array(shift))
    left = SimpleNamespace(r=found[0].ravel(), p=found[2].ravel())
    right = SimpleNamespace(r=found[1].ravel(), p=found[3].ravel())
    rig = rig_from_camera_info(left, right, rectified=False)
    assert rig is not None
    np.testing.assert_allclose(rig.rotation, rotation, atol=1e-9)
    np.testing.assert_allclose(rig.translation, shift, atol=1e-9)


def test_rig_of_rectified_images() -> None:
    left, right = (
        SimpleNamespace(r=np.full(9, np.nan), p=np.hstack([K, [[x], [0.0], [0.0]]]).ravel())
        for x in (0.0, -400.0 * 0.5)
    )
    rig = rig_from_camera_info(left, right, rectified=True)
    assert rig is not None
    np.testing.assert_allclose(rig.rotation, np.eye(3))
    np.testing.assert_allclose(rig.translation, [-0.5, 0, 0])


def info(tx: float, r: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(p=[480, 0, 319.5, tx, 0, 480, 239.5, 0, 0, 0, 1, 0], r=np.ravel(r))


@pytest.mark.parametrize("empty", [(True, True), (True, False), (False, True)])
def test_a_rectification_that_is_not_filled_in_is_the_identity(empty: tuple[bool, bool]) -> None:
    left, right = (np.zeros((3, 3)) if one else np.eye(3) for one in empty)
    rig = rig_from_camera_info(info(0, left), info(-120, right), rectified=False)
    assert rig is not None
    np.testing.assert_array_equal(rig.rotation, np.eye(3))
    np.testing.assert_allclose(rig.translation, [-0.25, 0, 0])


@pytest.mark.parametrize(
    ("r", "reason"),
    [
        (np.full((3, 3), np.nan), "r of the right camera is no rotation: it holds NaN"),
        (np.diag([1.0, 1.0, -1.0]), "a reflection"),
        (2 * np.eye(3), "differs from the identity by 3"),
        (np.diag([1.0, 1.0, 0.0]), "differs from the identity"),
        (np.full((3, 3), 1e200), "differs from the identity"),
        (np.eye(2), "has 4 entries"),
    ],
)
def test_a_rectification_that_is_no_rotation_is_named(r: np.ndarray, reason: str) -> None:
    with pytest.raises(CameraError, match=reason):
        rig_from_camera_info(info(0, np.eye(3)), info(-120, r), rectified=False)


def test_a_rectification_that_was_rounded_is_made_a_rotation() -> None:
    rotation = cv2.Rodrigues(np.array([0.02, -0.3, 0.1]))[0]
    rig = rig_from_camera_info(info(0, np.eye(3)), info(-120, rotation.round(3)), rectified=False)
    assert rig is not None
    np.testing.assert_allclose(rig.rotation @ rig.rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rig.rotation, rotation.T, atol=1e-3)


def test_no_baseline_no_rig() -> None:
    p = np.hstack([K, np.zeros((3, 1))])
    info = SimpleNamespace(r=np.eye(3).ravel(), p=p.ravel())
    assert rig_from_camera_info(info, info, rectified=True) is None
