"""Small things at the command line: Ctrl-C, names that there are not, completion, colours."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from msga_ros.cli import app
from msga_ros.cli.errors import INTERRUPTED, reported_errors
from msga_ros.evaluation.report_plots import look

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("goes_on", [True, False])
def test_ctrl_c_is_a_word(goes_on: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, reported_errors(goes_on=goes_on):
        raise KeyboardInterrupt
    assert caught.value.exit_code == INTERRUPTED
    assert capsys.readouterr().err.startswith("msga: interrupted")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("nosuch=1", "unknown parameter nosuch"),
        ("frontend.max_keypoint=900", "frontend.max_keypoints is meant"),
        ("frontend.max_keypoints=-1", "frontend.max_keypoints"),
    ],
)
def test_demo_refuses_what_the_node_has_not(given: str, reason: str) -> None:
    pytest.importorskip("rclpy", reason="the demo needs ROS")
    outcome = CliRunner().invoke(app, ["demo", "-p", given, "--source", "absent"])
    assert outcome.exit_code == 2
    assert reason in outcome.output


@pytest.mark.parametrize(
    "content",
    ["hello world", "- a\n- b", "7", "[" * 5000, "\x00", "variants: {a: hello}", "training: 3"],
)
def test_ablate_on_any_text_is_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(content)
    outcome = CliRunner().invoke(app, ["ablate", str(path)])
    assert outcome.exit_code == 2
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit)
    (line,) = outcome.output.strip().splitlines()
    assert line.startswith("msga: ") and "a.yaml" in line and len(line) < 400 + len(str(path))


def test_the_shell_completes_commands() -> None:
    environment = {
        **os.environ,
        "_MSGA_COMPLETE": "complete_bash",
        "COMP_WORDS": "msga ma",
        "COMP_CWORD": "1",
    }
    code = "from msga_ros.cli import app; app(prog_name='msga')"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert printed.stdout.split() == ["match"]


def test_no_two_lines_of_a_plot_look_alike() -> None:
    assert len({look(index) for index in range(49)}) == 49


@pytest.fixture
def setup_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    yield importlib.import_module("setup_environment")
    for name in ("setup_environment", "ros_wheels"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("name", "reason"), [("my robots/msga", "a blank"), ("a:b", "':'")])
def test_a_folder_that_colcon_cannot_take_is_refused_at_once(
    name: str, reason: str, setup_environment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup_environment.check_place()
    monkeypatch.setattr(setup_environment, "ROOT", Path("/home/me") / name)
    with pytest.raises(SystemExit, match=f"setup: the path .* holds {reason}"):
        setup_environment.check_place()


def test_a_set_up_that_was_cut_off_goes_on(
    setup_environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A step that fails is due again, whatever was complete before; a complete one is not."""
    module, ran = setup_environment, []
    monkeypatch.setattr(module, "STAMPS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["setup", "--build"])
    for name in ("check_place", "check_tools", "install_ros_wheels", "use_distribution"):
        monkeypatch.setattr(module, name, lambda *_: None)
    monkeypatch.setattr(module, "venv_is_sound", lambda: True)
    monkeypatch.setattr(module, "built", lambda: True)
    monkeypatch.setattr(module, "install_python_packages", lambda *_: ran.append("python"))

    def build(fails: bool) -> None:
        ran.append("build")
        if fails:
            sys.exit("cut off")

    monkeypatch.setattr(module, "build", lambda *_, **__: build(False))
    module.main()
    assert ran == ["python", "build"]
    monkeypatch.setattr(module, "build", lambda *_, **__: build(True))
    with pytest.raises(SystemExit):
        module.main()
    ran.clear()
    monkeypatch.setattr(sys, "argv", ["setup"])
    monkeypatch.setattr(module, "build", lambda *_, **__: build(False))
    module.main()
    assert ran == ["build"]
    module.main()
    assert ran == ["build"]
