"""The rig that camera_info describes."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

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
    p = np.hstack([K, [[-400.0 * 0.5], [0.0], [0.0]]])
    info = SimpleNamespace(r=np.full(9, np.nan), p=p.ravel())
    rig = rig_from_camera_info(info, info, rectified=True)
    assert rig is not None
    np.testing.assert_allclose(rig.rotation, np.eye(3))
    np.testing.assert_allclose(rig.translation, [-0.5, 0, 0])


def test_no_baseline_no_rig() -> None:
    p = np.hstack([K, np.zeros((3, 1))])
    info = SimpleNamespace(r=np.eye(3).ravel(), p=p.ravel())
    assert rig_from_camera_info(info, info, rectified=True) is None
