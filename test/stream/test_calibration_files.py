"""Calibrations from files in the place of camera_info."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calibration import rig_files
from stream.fakes import FakePipeline, make_result, raw_image

from msga_ros.calibration.base import CalibrationError
from msga_ros.stream.calibration_files import CalibrationFiles
from msga_ros.stream.camera_info import rig_from_camera_info
from msga_ros.stream.message_set import MessageSet
from msga_ros.stream.processor import Outcome, Processor
from msga_ros.stream.settings import Settings


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    texts = {
        "rig": rig_files.kalibr(),
        "left": rig_files.euroc(0),
        "right": rig_files.euroc(1),
        "ros": rig_files.ros(1),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return {name: str(tmp_path / f"{name}.yaml") for name in texts}


def given(**values: Any) -> CalibrationFiles:
    named = {name.replace("_", "/"): value for name, value in values.items()}
    return CalibrationFiles.read(Settings.from_values(named))


def related(
    calibration: CalibrationFiles, size: tuple[int, int] = rig_files.SIZE
) -> tuple[Outcome | None, list[str]]:
    """What comes of a stereo pair without camera_info, and the complaints."""
    pipeline = FakePipeline(results=[make_result()])
    complaints: list[str] = []
    processor = Processor(
        pipeline,
        {"left/image": "/l", "right/image": "/r", **calibration.sources},
        lambda kind, topic, text: complaints.append(f"{kind} {topic} {text}"),
        calibrations=calibration.infos,
    )
    messages = {f"{side}/image": raw_image(1, size=size) for side in ("left", "right")}
    outcome = processor.process(MessageSet(messages), Settings.from_values({})).outcome
    return outcome, complaints


@pytest.mark.parametrize("two", [False, True])
def test_a_pair_has_cameras_and_rig_of_its_files(files: dict[str, str], two: bool) -> None:
    calibration = (
        given(left_calibration=files["left"], right_calibration=files["right"])
        if two
        else given(calibration=files["rig"])
    )
    outcome, complaints = related(calibration)
    assert complaints == []
    assert outcome is not None and outcome.rig is not None
    np.testing.assert_allclose(outcome.rig.rotation, rig_files.ROTATION, atol=1e-9)
    np.testing.assert_allclose(outcome.rig.translation, rig_files.TRANSLATION, atol=1e-9)
    for view, focal in zip((outcome.reference, outcome.current), rig_files.FOCAL, strict=True):
        np.testing.assert_allclose(view.camera.k, rig_files.matrix(focal))


def test_images_of_another_size_are_refused(files: dict[str, str]) -> None:
    outcome, complaints = related(given(calibration=files["rig"]), size=(376, 240))
    assert outcome is None
    assert "image_size" in complaints[0]


def test_one_side_may_come_as_messages(files: dict[str, str]) -> None:
    calibration = given(right_calibration=files["ros"])
    assert set(calibration.infos) == {"right/camera_info"}
    assert calibration.sources == {"right/camera_info": files["ros"]}


@pytest.mark.parametrize("two", [False, True])
def test_a_rig_whose_left_inputs_have_no_prefix(files: dict[str, str], two: bool) -> None:
    names = (files["left"], files["right"]) if two else (files["rig"], "")
    found = CalibrationFiles.of_camera_and_right(*names, False)
    assert set(found.infos) == {"camera_info", "right/camera_info"}
    rig = rig_from_camera_info(found.infos["camera_info"], found.infos["right/camera_info"], False)
    assert rig is not None
    np.testing.assert_allclose(rig.translation, rig_files.TRANSLATION, atol=1e-9)
    with pytest.raises(CalibrationError, match="without calibration"):
        CalibrationFiles.of_camera_and_right("", files["right"], False)
    assert CalibrationFiles.of_camera_and_right("", "", False).infos == {}


def test_one_camera(files: dict[str, str]) -> None:
    calibration = given(mode="temporal", calibration=files["rig"] + "#cam1")
    assert calibration.infos["camera_info"].k[0] == rig_files.FOCAL[1][0]
    assert calibration.sources == {"camera_info": files["rig"] + "#cam1"}
    assert given().infos == {} and given(mode="temporal").infos == {}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"mode": "temporal", "left_calibration": "left"}, "are of mode stereo"),
        ({"mode": "temporal", "calibration": "rig"}, "choose one, FILE#cam0"),
        ({"calibration": "left"}, "a rig has two"),
        ({"calibration": "rig", "left_calibration": "left"}, "give either calibration, or left/"),
        ({"calibration": "rig", "rectified": True}, "no projection matrix"),
        ({"left_calibration": "left", "rectified": True}, "no projection matrix"),
    ],
)
def test_what_cannot_be_is_said_at_start(
    files: dict[str, str], values: dict[str, Any], reason: str
) -> None:
    named = {
        name: files[value] if name.endswith("calibration") else value
        for name, value in values.items()
    }
    with pytest.raises(CalibrationError, match=reason):
        given(**named)
    with pytest.raises(CalibrationError, match=r"nowhere\.yaml: there is no such file"):
        given(calibration="nowhere.yaml")
