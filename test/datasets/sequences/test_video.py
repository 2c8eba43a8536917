"""Video files, and the choice of a sequence by its source."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from msga_ros.datasets.sequences.base import LEFT, SequenceError
from msga_ros.datasets.sequences.source import open_sequence
from msga_ros.datasets.sequences.video import VideoSequence, guess_camera
from msga_ros.geometry.camera import Camera


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Six frames, each a little brighter than the one before, at 5 Hz."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5.0, (96, 64))
    if not writer.isOpened():
        pytest.skip("this OpenCV cannot write videos")
    for level in range(40, 100, 10):
        writer.write(np.full((64, 96, 3), level, np.uint8))
    writer.release()
    return path


def test_frames_come_in_order_and_again(video: Path) -> None:
    sequence = VideoSequence(video)
    assert (sequence.name, sequence.rate, len(sequence)) == ("clip", 5.0, 6)
    for _ in range(2):
        frames = list(sequence)
        levels = [float(frame.images[LEFT].mean()) for frame in frames]
        assert levels == sorted(levels)
        assert len(levels) == 6
        np.testing.assert_allclose([frame.stamp for frame in frames], np.arange(6) / 5.0)
        assert all(frame.poses is None for frame in frames)


def test_camera_given_or_guessed(video: Path) -> None:
    k = np.array([[80.0, 0.0, 47.0], [0.0, 81.0, 32.0], [0.0, 0.0, 1.0]])
    given = VideoSequence(video, Camera(k=k, width=96, height=64))
    assert next(iter(given)).cameras[LEFT].k[1, 1] == 81.0
    guessed = VideoSequence(video).camera
    across = 2 * np.degrees(np.arctan(48.0 / guessed.k[0, 0]))
    assert across == pytest.approx(60.0)
    assert guess_camera(100, 50, focal=70.0).k[0, 0] == 70.0
    with pytest.raises(SequenceError, match="96x64"):
        VideoSequence(video, Camera(k=k, width=640, height=480))


def test_source_chooses_the_sequence(video: Path, tmp_path: Path) -> None:
    assert open_sequence("synthetic", stereo=True, frames=7).name == "synthetic"
    assert len(open_sequence("synthetic", stereo=True, frames=7)) == 7
    assert open_sequence(str(video), stereo=False).name == "clip"
    with pytest.raises(SequenceError, match="one camera"):
        open_sequence(str(video), stereo=True)
    with pytest.raises(SequenceError, match="neither"):
        open_sequence(str(tmp_path / "nothing"), stereo=False)
    with pytest.raises(SequenceError, match=r"no scene\.json"):
        open_sequence(str(tmp_path), stereo=False)
    text = tmp_path / "notes.txt"
    text.write_text("not a film")
    with pytest.raises(SequenceError, match=r"not a video|no frame"):
        open_sequence(str(text), stereo=False)
