"""One stereo rig, written in every format that is read."""

from __future__ import annotations

import cv2
import numpy as np

SIZE = (752, 480)
ROTATION = cv2.Rodrigues(np.array([0.01, -0.02, 0.005]))[0]  # x_right = R x_left + t
TRANSLATION = np.array([-0.11, 0.002, -0.001])
FOCAL = ((458.654, 457.296, 367.215, 248.375), (457.587, 456.134, 379.999, 255.238))
RADTAN = ((-0.2834, 0.0739, 0.00019, 0.000018), (-0.2837, 0.0745, -0.0001, -0.000036))
FISHEYE = ((0.003, 0.0008, -0.0002, 0.00002), (0.004, 0.0007, -0.0001, 0.00001))


def matrix(focal: tuple[float, ...]) -> np.ndarray:
    fx, fy, cx, cy = focal
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def four_by_four(
    rotation: np.ndarray = ROTATION, translation: np.ndarray = TRANSLATION
) -> np.ndarray:
    return np.vstack([np.column_stack([rotation, translation]), [0, 0, 0, 1]])


def listed(values: object) -> str:
    return str(np.asarray(values, dtype=float).tolist())


def opencv(values: object) -> str:
    """`!!opencv-matrix` as cv2.FileStorage writes it."""
    array = np.atleast_2d(np.asarray(values, dtype=float))
    rows, cols = array.shape
    data = ", ".join(f"{one:.17g}" for one in array.ravel())
    return f"!!opencv-matrix\n   rows: {rows}\n   cols: {cols}\n   dt: d\n   data: [ {data} ]"


def kalibr(fisheye: bool = False) -> str:
    model, distortion = ("equidistant", FISHEYE) if fisheye else ("radtan", RADTAN)
    text = ""
    for number, name in enumerate(("cam0", "cam1")):
        text += f"{name}:\n"
        if number:
            text += "  T_cn_cnm1:\n"
            text += "".join(f"  - {listed(row)}\n" for row in four_by_four())
        text += f"  camera_model: pinhole\n  distortion_coeffs: {list(distortion[number])}\n"
        text += f"  distortion_model: {model}\n  intrinsics: {list(FOCAL[number])}\n"
        text += f"  resolution: {list(SIZE)}\n  rostopic: /{name}/image_raw\n  cam_overlaps: [1]\n"
    return text


def kalibr_with_imu() -> str:
    """Both cameras by the IMU alone."""
    body = four_by_four(cv2.Rodrigues(np.array([1.2, -0.3, 0.5]))[0], np.array([0.3, -0.2, 0.1]))
    text = kalibr()
    start, end = text.index("  T_cn_cnm1"), text.index("  camera_model", text.index("T_cn_cnm1"))
    text = text[:start] + text[end:]
    for name, pose in (("cam0", body), ("cam1", four_by_four() @ body)):
        text = text.replace(f"{name}:\n", f"{name}:\n  T_cam_imu: {listed(pose)}\n")
    return text


def euroc(number: int) -> str:
    body = four_by_four(cv2.Rodrigues(np.array([0.2, -1.3, 0.5]))[0], np.array([0.3, -0.2, 0.1]))
    to_camera = four_by_four() @ body if number else body
    return (
        "# General sensor definitions.\nsensor_type: camera\ncomment: VI-Sensor\n"
        "T_BS:\n  cols: 4\n  rows: 4\n  data: "
        + listed(np.linalg.inv(to_camera).ravel())
        + f"\nrate_hz: 20\nresolution: {list(SIZE)}\ncamera_model: pinhole\n"
        f"intrinsics: {list(FOCAL[number])} #fu, fv, cu, cv\n"
        f"distortion_model: radial-tangential\ndistortion_coefficients: {list(RADTAN[number])}\n"
    )


def opencv_stereo(names: str = "K1 D1 K2 D2") -> str:
    text = "%YAML:1.0\n---\n"
    values = (matrix(FOCAL[0]), RADTAN[0], matrix(FOCAL[1]), RADTAN[1])
    for name, value in zip(names.split(), values, strict=True):
        text += f"{name}: {opencv(value)}\n"
    text += f"R: {opencv(ROTATION)}\nT: {opencv(TRANSLATION[:, None])}\n"
    return text + f"size: {list(SIZE)}\n"


def orb_slam2() -> str:
    """With the matrices for the rectification, as for EuRoC."""
    ks = [matrix(one) for one in FOCAL]
    ds = [np.array([*one, 0.0]) for one in RADTAN]
    r0, r1, p0, p1, *_ = cv2.stereoRectify(ks[0], ds[0], ks[1], ds[1], SIZE, ROTATION, TRANSLATION)
    text = "%YAML:1.0\n\n#----\n# Camera Parameters\n#----\nCamera.fx: 435.2046959714599\n"
    text += "Camera.fy: 435.2\nCamera.cx: 367.4\nCamera.cy: 252.2\nCamera.k1: 0.0\n"
    text += "Camera.bf: 47.90639384423901\n"
    for side, k, d, r, p in zip(("LEFT", "RIGHT"), ks, ds, (r0, r1), (p0, p1), strict=True):
        text += f"{side}.height: {SIZE[1]}\n{side}.width: {SIZE[0]}\n"
        for name, value in (("D", d), ("K", k), ("R", r), ("P", p)):
            text += f"{side}.{name}: {opencv(value)}\n"
    return text


def orb_slam3(fisheye: bool = False) -> str:
    kind, names = (
        ("KannalaBrandt8", ("k1", "k2", "k3", "k4"))
        if fisheye
        else ("PinHole", ("k1", "k2", "p1", "p2"))
    )
    distortion = FISHEYE if fisheye else RADTAN
    text = f'%YAML:1.0\nFile.version: "1.0"\nCamera.type: "{kind}"\n'
    for number in (0, 1):
        for name, value in zip(("fx", "fy", "cx", "cy"), FOCAL[number], strict=True):
            text += f"Camera{number + 1}.{name}: {value}\n"
        for name, value in zip(names, distortion[number], strict=True):
            text += f"Camera{number + 1}.{name}: {value!r}\n"
    text += f"Camera.width: {SIZE[0]}\nCamera.height: {SIZE[1]}\n"
    # Points of the second camera in the first one.
    return text + f"Stereo.T_c1_c2: {opencv(np.linalg.inv(four_by_four()))}\n"


def ros(number: int) -> str:
    ks = [matrix(one) for one in FOCAL]
    ds = [np.array(one) for one in RADTAN]
    found = cv2.stereoRectify(ks[0], ds[0], ks[1], ds[1], SIZE, ROTATION, TRANSLATION)
    text = f"image_width: {SIZE[0]}\nimage_height: {SIZE[1]}\ncamera_name: left\n"
    for name, value in (
        ("camera_matrix", ks[number]),
        ("distortion_coefficients", ds[number][None]),
        ("rectification_matrix", found[number]),
        ("projection_matrix", found[2 + number]),
    ):
        rows, cols = value.shape
        text += f"{name}:\n  rows: {rows}\n  cols: {cols}\n  data: {listed(value.ravel())}\n"
    return text + "distortion_model: plumb_bob\n"
