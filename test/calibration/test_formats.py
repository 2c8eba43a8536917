"""One rig in every format: the same cameras, the same baseline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from calibration import rig_files
from calibration.rig_files import FISHEYE, FOCAL, RADTAN, ROTATION, SIZE, TRANSLATION

from msga_ros.calibration import read_camera, read_cameras, read_pair
from msga_ros.calibration.base import CalibratedCamera, CalibrationError
from msga_ros.calibration.rig import as_stereo_pair
from msga_ros.geometry.camera import Camera
from msga_ros.stream.camera_info import rig_from_camera_info

Save = Callable[..., str]
PIXELS = np.array([[20.0, 30.0], [367.0, 248.0], [700.0, 440.0]])


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(text: str, name: str = "rig.yaml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def check(pair: tuple[CalibratedCamera, CalibratedCamera], fisheye: bool = False) -> None:
    """Lenses as OpenCV understands them, and the rig that was written."""
    for camera, focal, d in zip(pair, FOCAL, FISHEYE if fisheye else RADTAN, strict=True):
        lens = Camera.from_camera_info(camera.info, rectified=False)
        assert (lens.width, lens.height) == SIZE
        k, coefficients = rig_files.matrix(focal), np.array(d)
        if fisheye:
            true = cv2.fisheye.undistortPoints(PIXELS[:, None], k, coefficients)[:, 0]
        else:
            true = cv2.undistortPointsIter(
                PIXELS[:, None], k, coefficients, None, None,
                (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-14),
            )[:, 0]  # fmt: skip
        np.testing.assert_allclose(lens.normalize(PIXELS), true, atol=1e-7)
    left, right = as_stereo_pair(*pair, rectified=False)
    rig = rig_from_camera_info(left, right, rectified=False)
    assert rig is not None
    np.testing.assert_allclose(rig.rotation, ROTATION, atol=1e-9)
    np.testing.assert_allclose(rig.translation, TRANSLATION, atol=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        rig_files.kalibr(),
        rig_files.kalibr_with_imu(),
        rig_files.opencv_stereo(),
        rig_files.opencv_stereo("M1 D1 M2 D2"),
        rig_files.opencv_stereo("cameraMatrix1 distCoeffs1 cameraMatrix2 distCoeffs2"),
        rig_files.orb_slam2(),
        rig_files.orb_slam3(),
    ],
    ids=["kalibr", "kalibr_imu", "opencv", "opencv_m", "opencv_long", "orb_slam2", "orb_slam3"],
)
def test_a_rig_in_one_file(save: Save, text: str) -> None:
    check(read_pair(save(text)))


@pytest.mark.parametrize("text", [rig_files.kalibr(True), rig_files.orb_slam3(True)])
def test_a_rig_of_fisheyes(save: Save, text: str) -> None:
    check(read_pair(save(text)), fisheye=True)


@pytest.mark.parametrize("write", [rig_files.euroc, rig_files.ros])
def test_a_file_a_camera(save: Save, write: Callable[[int], str]) -> None:
    files = [save(write(number), f"cam{number}.yaml") for number in (0, 1)]
    check((read_camera(files[0]), read_camera(files[1])))


def test_a_file_that_opencv_wrote(tmp_path: Path) -> None:
    path = str(tmp_path / "rig.yml")
    file = cv2.FileStorage(path, cv2.FILE_STORAGE_WRITE)
    for number in (0, 1):
        file.write(f"K{number + 1}", rig_files.matrix(FOCAL[number]))
        file.write(f"D{number + 1}", np.array([RADTAN[number]]))
    file.write("R", ROTATION)
    file.write("T", TRANSLATION)
    file.write("image_width", SIZE[0])
    file.write("image_height", SIZE[1])
    file.release()
    check(read_pair(path))


def test_rectified_images_need_a_projection_matrix(save: Save) -> None:
    pair = [read_camera(save(rig_files.ros(number), f"{number}.yaml")) for number in (0, 1)]
    rig = rig_from_camera_info(*as_stereo_pair(*pair, rectified=True), rectified=True)
    assert rig is not None
    np.testing.assert_array_equal(rig.rotation, np.eye(3))
    assert rig.baseline == pytest.approx(np.linalg.norm(TRANSLATION))
    with pytest.raises(CalibrationError, match=r"rig\.yaml#cam0: no projection matrix"):
        as_stereo_pair(*read_pair(save(rig_files.kalibr())), rectified=True)


@pytest.mark.parametrize("entry", ["Camera.bf: 386.1448", "Stereo.b: 0.5371657188644179"])
def test_a_pair_that_is_rectified_already(save: Save, entry: str) -> None:
    """ORB-SLAM's settings for KITTI."""
    text = "%YAML:1.0\nCamera.fx: 718.856\nCamera.fy: 718.856\nCamera.cx: 607.1928\n"
    text += f"Camera.cy: 185.2157\nCamera.k1: 0.0\nCamera.p2: 0.0\n{entry}\n"
    pair = read_pair(save(text))
    for rectified in (False, True):
        rig = rig_from_camera_info(*as_stereo_pair(*pair, rectified), rectified)
        assert rig is not None
        np.testing.assert_allclose(rig.rotation, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(rig.translation, [-386.1448 / 718.856, 0, 0], atol=1e-12)


def test_a_depth_camera_of_orb_slam_is_one_camera(save: Save) -> None:
    """Its baseline is that of a projector, and its lens is distorted."""
    text = "Camera.fx: 517.3\nCamera.fy: 516.5\nCamera.cx: 318.6\nCamera.cy: 255.3\n"
    text += "Camera.k1: 0.262383\nCamera.k2: -0.953104\nCamera.p1: -0.005358\n"
    text += "Camera.p2: 0.002628\nCamera.k3: 1.163314\nCamera.bf: 40.0\n"
    lens = Camera.from_camera_info(read_camera(save(text)).info, rectified=False)
    assert lens.distortion.tolist() == [0.262383, -0.953104, -0.005358, 0.002628, 1.163314]


def test_a_vertical_rig(save: Save) -> None:
    turned = rig_files.kalibr().replace(
        "".join(f"  - {rig_files.listed(row)}\n" for row in rig_files.four_by_four()),
        "  - [1.0, 0.0, 0.0, 0.001]\n  - [0.0, 1.0, 0.0, -0.2]\n"
        "  - [0.0, 0.0, 1.0, 0.002]\n  - [0.0, 0.0, 0.0, 1.0]\n",
    )
    left, right = as_stereo_pair(*read_pair(save(turned)), rectified=False)
    assert right.p[7] < 0 and right.p[3] == pytest.approx(0.0, abs=1e-9)
    rig = rig_from_camera_info(left, right, rectified=False)
    assert rig is not None
    np.testing.assert_allclose(rig.translation, [0.001, -0.2, 0.002], atol=1e-12)


# Of the third camera in the second: a quarter turn about x, and half a metre on.
TURNED = np.array([[1, 0, 0, 0.1], [0, 0, -1, 0.2], [0, 1, 0, 0.5], [0, 0, 0, 1]])


def three_cameras() -> str:
    text = rig_files.kalibr()
    third = text[text.index("cam1:") :].replace("cam1", "cam2")
    for old, new in zip(rig_files.four_by_four(), TURNED, strict=True):
        third = third.replace(rig_files.listed(old), rig_files.listed(new))
    return text + third


def test_cameras_are_chosen_by_name(save: Save) -> None:
    path = save(three_cameras())
    assert [one.name for one in read_cameras(path)] == ["cam0", "cam1", "cam2"]
    first, last = read_pair(f"{path}#cam0,cam2")
    assert last.pose is not None and first.pose is not None
    chain = TURNED @ rig_files.four_by_four()
    motion = last.pose.relative_to(first.pose)
    np.testing.assert_allclose(motion.rotation, chain[:3, :3], atol=1e-12)
    np.testing.assert_allclose(motion.translation, chain[:3, 3], atol=1e-12)
    assert read_camera(f"{path}#cam1").source == f"{path}#cam1"
    with pytest.raises(CalibrationError, match=r"3 cameras \(cam0, cam1, cam2\): FILE#LEFT,RIGHT"):
        read_pair(path)
    with pytest.raises(CalibrationError, match="choose one, FILE#cam0"):
        read_camera(path)
    with pytest.raises(CalibrationError, match="no camera 'cam7'"):
        read_camera(f"{path}#cam7")
    with pytest.raises(CalibrationError, match="a rig has two"):
        read_pair(f"{path}#cam0")


def test_a_rig_whose_poses_are_not_told_has_no_baseline(save: Save) -> None:
    text = rig_files.orb_slam3()
    pair = read_pair(save(text[: text.index("Stereo.T_c1_c2")]))
    assert rig_from_camera_info(*as_stereo_pair(*pair, rectified=False), rectified=False) is None


@pytest.mark.parametrize(
    "model", ["fisheye_model: 1", "distortion_model: equidistant", "distortion_model: fisheye"]
)
def test_fisheyes_in_the_layout_of_ros_and_opencv(save: Save, model: str) -> None:
    k = rig_files.opencv([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]])
    zeros = rig_files.opencv(np.zeros((4, 1)))
    text = f"%YAML:1.0\n---\n{model}\nimage_width: 640\nimage_height: 480\n"
    text += f"camera_matrix: {k}\ndistortion_coefficients: {zeros}\n"
    lens = Camera.from_camera_info(read_camera(save(text)).info, rectified=False)
    pixel = 320 + 300 * np.radians(45)
    np.testing.assert_allclose(lens.normalize([[pixel, 240.0]]), [[1.0, 0.0]], atol=1e-12)


def test_cameras_of_a_long_chain_follow_by_number(save: Save) -> None:
    """Ten steps of a centimetre: `cam10` comes after `cam9`, not after `cam1`."""
    step = "[[1, 0, 0, -0.01], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]"
    lines = []
    for number in range(11):
        lines += [f"cam{number}:", "  camera_model: pinhole", "  intrinsics: [400, 400, 320, 240]"]
        lines += ["  resolution: [640, 480]"] + [f"  T_cn_cnm1: {step}"] * (number > 0)
    cameras = read_cameras(save("\n".join(lines)))
    assert [one.name for one in cameras] == [f"cam{number}" for number in range(11)]
    places = [one.pose.translation[0] for one in cameras if one.pose is not None]
    np.testing.assert_allclose(places, -0.01 * np.arange(11), atol=1e-12)
