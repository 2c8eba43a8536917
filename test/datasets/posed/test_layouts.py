"""Every layout of a collection must tell the same geometry, and dumps of it must agree with it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from posed_layouts import (
    LAYOUTS,
    Layout,
    View,
    rendered_views,
    through_lens,
    write_colmap,
    write_kitti,
    write_published,
    write_tum,
)
from scipy.spatial.transform import Rotation

from msga_ros.datasets.dumps import DumpFile
from msga_ros.datasets.posed import colmap
from msga_ros.datasets.posed.base import PosedImage, PosedImagesError
from msga_ros.datasets.posed.dump import DumpConfig, dump
from msga_ros.datasets.posed.matching import Acceptance
from msga_ros.datasets.posed.sources import open_scene
from msga_ros.datasets.posed.trajectory import Trajectory, rotation_from_quaternion
from msga_ros.datasets.sequences.base import LEFT
from msga_ros.frontend.config import FrontendConfig
from msga_ros.frontend.image_header import image_file_size
from msga_ros.geometry.camera import Camera


@pytest.fixture(scope="module")
def views() -> list[View]:
    return rendered_views()


def written(folder: Path, layout: Layout, views: list[View]) -> tuple[Path, list[View]]:
    chosen = views if layout.stereo else [view for view in views if view.side == LEFT]
    chosen = [through_lens(view) for view in chosen] if layout.lens else chosen
    return layout.write(folder / layout.folder, chosen), chosen


def truth_of(image: PosedImage, views: list[View]) -> View:
    """By the content of the file: whatever the names, the picture says which view it is."""
    pixels = cv2.imread(str(image.path))
    return next(view for view in views if np.array_equal(view.image, pixels))


@pytest.mark.parametrize("name", LAYOUTS)
def test_all_layouts_tell_the_same_geometry(name: str, views: list[View], tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    folder, chosen = written(tmp_path, layout, views)
    camera = chosen[0].camera if name == "tum" else None
    scene = open_scene(folder, camera=camera)  # finds out itself what it is
    assert len(scene) == len(chosen)
    truths = [truth_of(image, chosen) for image in scene.images]
    reference, first = truths[0], scene.images[0]
    grid = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 2))
    for image, truth in zip(scene.images, truths, strict=True):
        motion = image.pose.relative_to(first.pose)
        expected = truth.pose.relative_to(reference.pose)
        np.testing.assert_allclose(motion.rotation, expected.rotation, atol=2e-6)
        np.testing.assert_allclose(motion.translation, expected.translation, atol=2e-5)
        projected = image.camera.project(grid)
        np.testing.assert_allclose(projected, truth.camera.project(grid), atol=1e-6)
    if not scene.unordered:
        assert [image.frame for image in scene.images] == [truth.frame for truth in truths]


@pytest.mark.parametrize("name", LAYOUTS)
def test_dumps_of_all_layouts_fit_their_true_motion(
    name: str, views: list[View], tmp_path: Path
) -> None:
    """Matches that the ratio test trusts lie within a third of a pixel of the true motion."""
    folder, chosen = written(tmp_path, LAYOUTS[name], views)
    scene = open_scene(folder, camera=chosen[0].camera if name == "tum" else None)
    config = DumpConfig(
        frontend=FrontendConfig(max_keypoints=400), acceptance=Acceptance(20, 0.5), pairs=3
    )
    (summary,) = dump([scene], tmp_path / "out.h5", config)
    assert summary.kept == 3
    with DumpFile(tmp_path / "out.h5") as result:
        assert len(result) == 3
        for pair in result:
            assert pair.scene == scene.name
            np.testing.assert_allclose(pair.focal0, 240.0, rtol=1e-6)
            trusted = pair.residual[pair.ratios < 0.7]
            assert len(trusted) > 20
            assert np.sqrt(np.median(trusted)) * 240.0 < 0.34
            share = (pair.residual < 1e-4).mean()
            assert 0.2 < share < 1.0  # of all nearest neighbours, unfiltered


@pytest.mark.parametrize(
    ("model", "parameters", "camera"),
    [
        ("SIMPLE_PINHOLE", [500, 320, 240], ("none", [])),
        ("SIMPLE_RADIAL", [500, 320, 240, -0.1], ("plumb_bob", [-0.1, 0, 0, 0])),
        ("RADIAL", [500, 320, 240, -0.1, 0.02], ("plumb_bob", [-0.1, 0.02, 0, 0])),
        (
            "FULL_OPENCV",
            [500, 510, 320, 240, 0.2, -0.1, 0.001, 0.002, 0.01, 0.25, -0.09, 0.005],
            ("rational_polynomial", [0.2, -0.1, 0.001, 0.002, 0.01, 0.25, -0.09, 0.005]),
        ),
        ("OPENCV_FISHEYE", [500, 510, 320, 240, 0.03, -0.01, 0.002, 0.0], ("equidistant", [])),
        ("SIMPLE_RADIAL_FISHEYE", [500, 320, 240, 0.03], ("equidistant", [])),
    ],
)
def test_camera_models_of_colmap_project_as_opencv_does(
    model: str, parameters: list[float], camera: tuple[str, list[float]], tmp_path: Path
) -> None:
    words = " ".join(map(str, parameters))
    (tmp_path / "cameras.txt").write_text(f"3 {model} 640 480 {words}\n")
    found = colmap.read_cameras_text(tmp_path)[3]
    assert found.distortion_model == camera[0]
    points = np.random.default_rng(1).uniform(-0.4, 0.4, (30, 2))
    rays = np.column_stack((points, np.ones(30)))[:, None]
    fy, centre = (parameters[1], 2) if parameters[1] > 400 else (parameters[0], 1)
    k = np.array(
        [[parameters[0], 0, parameters[centre]], [0, fy, parameters[centre + 1]], [0, 0, 1]],
        np.float64,
    )
    zero = np.zeros(3)
    if "FISHEYE" in model:
        rest = [*parameters[centre + 2 :], 0.0, 0.0, 0.0][:4]
        expected, _ = cv2.fisheye.projectPoints(rays, zero, zero, k, np.array(rest))
    else:
        expected, _ = cv2.projectPoints(rays, zero, zero, k, np.array(camera[1], float))
    # COLMAP's corner of the top-left pixel is (0, 0), ours is its centre.
    np.testing.assert_allclose(found.project(points) + 0.5, expected[:, 0], atol=1e-6)


def test_points_of_colmap_say_what_images_share(views: list[View], tmp_path: Path) -> None:
    both = [
        open_scene(write_colmap(tmp_path / str(binary), views, binary)) for binary in (False, True)
    ]
    for scene in both:
        shares = scene.visibility
        assert shares is not None
        frames = [int(image.path.stem) for image in scene.images]
        apart = np.abs(np.subtract.outer(frames, frames))
        np.testing.assert_allclose(shares, np.choose(np.minimum(apart, 2), [1.0, 0.5, 0.0]))
    assert both[0].name == "False"  # the folder's; not "0" or "sparse"
    bare = open_scene(write_colmap(tmp_path / "bare", views, binary=False, visible=False))
    assert bare.visibility is None
    assert len(bare) == len(views)


def test_published_centres_are_offsets_from_the_middle(views: list[View], tmp_path: Path) -> None:
    """Taken for a position instead, the centre would be at the corner of the image."""
    folder = write_published(tmp_path, views)
    scene = open_scene(folder)
    assert scene.name == "yard-test"
    np.testing.assert_allclose(scene.images[0].camera.k, views[0].camera.k, atol=1e-9)
    assert scene.visibility is not None
    assert scene.visibility[0, 1] == 80.0
    marked = next(tmp_path.rglob("visibility/*.txt"))
    marked.write_bytes(b"\xef\xbb\xbf" + marked.read_bytes())
    np.testing.assert_array_equal(open_scene(folder).visibility, scene.visibility)
    marked.write_bytes(b"")
    with pytest.raises(PosedImagesError, match=r"visibility\.txt: \d+ lists of"):
        open_scene(folder)


def test_tum_cameras_are_known_by_the_name_of_the_folder(views: list[View], tmp_path: Path) -> None:
    left = [view for view in views if view.side == LEFT]
    known = open_scene(write_tum(tmp_path / "rgbd_dataset_freiburg1_desk", left))
    camera = known.images[0].camera
    assert camera.k[0, 0] == 517.3 and camera.distortion[0] == 0.2624
    assert (camera.width, camera.height) == (640, 480)
    with pytest.raises(PosedImagesError, match="--camera"):
        open_scene(write_tum(tmp_path / "own_recording", left))


def test_poses_between_two_moments_are_interpolated() -> None:
    half = Rotation.from_rotvec([0.0, 0.0, 0.4])
    quaternions = np.array([Rotation.identity().as_quat(), -half.as_quat()])[:, [3, 0, 1, 2]]
    positions = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 0.0]])
    trajectory = Trajectory(np.array([10.0, 10.08]), positions, quaternions)
    found = trajectory.at(10.02)
    assert found is not None
    np.testing.assert_allclose(found[1], [0.25, 0.5, 0.0], atol=1e-9)
    quarter = Rotation.from_rotvec([0.0, 0.0, 0.1]).as_matrix()
    np.testing.assert_allclose(found[0], quarter, atol=1e-9)
    assert trajectory.at(9.99) is None and trajectory.at(10.09) is None
    np.testing.assert_allclose(trajectory.at(10.08)[0], half.as_matrix(), atol=1e-9)  # type: ignore[index]
    gap = Trajectory(np.array([10.0, 10.5]), positions, quaternions)
    assert gap.at(10.2) is None
    with pytest.raises(PosedImagesError, match="quaternion"):
        rotation_from_quaternion([0.0, 0.0, 0.0, 0.0])


def test_size_of_an_image_without_reading_it(tmp_path: Path) -> None:
    image = np.zeros((37, 53, 3), np.uint8)
    for suffix in (".png", ".jpg"):
        path = tmp_path / f"image{suffix}"
        cv2.imwrite(str(path), image)
        assert image_file_size(path) == (53, 37)
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "image.jpg").read_bytes()[:10])
    assert image_file_size(tmp_path / "cut.jpg") is None


def test_broken_collections_are_named(views: list[View], tmp_path: Path) -> None:
    with pytest.raises(PosedImagesError, match="no collection of posed images"):
        open_scene(tmp_path)
    with pytest.raises(PosedImagesError, match="not a folder"):
        open_scene(tmp_path / "absent")
    model = write_colmap(tmp_path / "a", views, binary=True) / "sparse" / "0"
    whole = (model / "images.bin").read_bytes()
    (model / "images.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PosedImagesError, match="too early"):
        open_scene(tmp_path / "a")
    model = write_colmap(tmp_path / "b", views, binary=False) / "sparse" / "0"
    text = (model / "cameras.txt").read_text()
    for wrong, message in [
        (text.replace("PINHOLE", "THIN_PRISM_FISHEYE").strip() + " 0" * 8, "undistort"),
        (text.replace("PINHOLE", "MAGIC"), "MAGIC"),
        (text.replace("240.0", "nan"), "numbers"),
        (text.replace("240.0", "-1.0"), "focal"),
    ]:  # fmt: skip
        (model / "cameras.txt").write_text(wrong)
        with pytest.raises(PosedImagesError, match=message):
            open_scene(tmp_path / "b")
    sequence = write_kitti(tmp_path / "c", views)
    (tmp_path / "c" / "poses" / "07.txt").unlink()
    with pytest.raises(PosedImagesError, match="no poses"):
        open_scene(sequence)
    place = write_published(tmp_path / "d", views)
    cv2.imwrite(str(place / "images" / "3.png"), np.zeros((50, 60), np.uint8))
    with pytest.raises(PosedImagesError, match=r"3\.png is 60x50"):
        open_scene(place)


def test_a_camera_can_be_given(views: list[View], tmp_path: Path) -> None:
    left = [view for view in views if view.side == LEFT]
    camera = Camera.pinhole(100.0, 101.0, 30.0, 20.0)
    scene = open_scene(write_tum(tmp_path / "own", left), "tum", camera=camera)
    assert all(image.camera == camera for image in scene.images)
