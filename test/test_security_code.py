"""No code path of the package unpickles, evaluates text or starts a shell."""

from __future__ import annotations

import ast
import io
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from msga_ros.network import CheckpointError, MSGANet

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("msga_ros", "scripts", "launch", "benchmarks")
FORBIDDEN_MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve",
                     "marshal"}  # fmt: skip
FORBIDDEN_BUILTINS = {"eval", "exec", "compile", "__import__"}
SAFE_YAML = {"safe_load", "safe_load_all", "safe_dump", "safe_dump_all"}


def sources() -> list[Path]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix]
    return sorted([*found, *scripts])


def violations(code: str) -> Iterator[str]:
    """What in a source could run code out of a file, in words."""
    tree = ast.parse(code)
    safe = {one.name for one in ast.walk(tree) if isinstance(one, ast.ClassDef) and _is_safe(one)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        for name in names:
            if name.split(".")[0] in FORBIDDEN_MODULES:
                yield f"line {node.lineno}: imports {name}"
        if isinstance(node, ast.Call):
            yield from _call_violations(node, safe)


def _is_safe(definition: ast.ClassDef) -> bool:
    """A loader of YAML that makes plain values alone, and what its own file adds."""
    return [ast.unparse(base) for base in definition.bases] == ["yaml.SafeLoader"]


def _call_violations(call: ast.Call, safe_loaders: set[str]) -> Iterator[str]:
    name, where = ast.unparse(call.func), f"line {call.lineno}"
    given = {one.arg: one.value for one in call.keywords}

    def is_true(key: str) -> bool:
        value = given.get(key)
        return isinstance(value, ast.Constant) and value.value is True

    if name in FORBIDDEN_BUILTINS:
        yield f"{where}: {name}()"
    if name in ("torch.load", "self.fabric.load") and not is_true("weights_only"):
        yield f"{where}: {name} without weights_only=True"
    if "allow_pickle" in given and not _is_false(given["allow_pickle"]):
        yield f"{where}: {name} with allow_pickle"
    safely = name == "yaml.load" and [ast.unparse(one) for one in call.args[1:]] in (
        [loader] for loader in safe_loaders
    )
    if name.startswith("yaml.") and name[5:] not in SAFE_YAML and "load" in name and not safely:
        yield f"{where}: {name}"
    if "shell" in given and not _is_false(given["shell"]):
        yield f"{where}: {name} through a shell"
    if name in ("os.system", "os.popen"):
        yield f"{where}: {name}"


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=chosen)",
        "yaml.load(text)",
        "yaml.load(text, yaml.Loader)",
        "class Loader(yaml.Loader): ...\nyaml.load(text, Loader)",
        "yaml.unsafe_load(text)",
        "eval(text)",
        "subprocess.run(command, shell=True)",
    ],
)
def test_the_check_finds_what_it_should(code: str) -> None:
    assert list(violations(code))


def test_the_check_lets_safe_code_pass() -> None:
    code = "torch.load(p, weights_only=True)\nnp.load(p, allow_pickle=False)\nyaml.safe_load(t)\n"
    code += "class Loader(yaml.SafeLoader): ...\nyaml.load(t, Loader)\n"
    code += "net.eval()\nre.compile(p)\nsubprocess.run([a, b])\n"
    assert list(violations(code)) == []


def test_no_source_can_run_code_out_of_a_file() -> None:
    files = sources()
    assert len(files) > 50
    found = {
        str(path.relative_to(ROOT)): what.partition(": ")[2]
        for path in files
        for what in violations(path.read_text())
    }
    assert found == {}


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "pathlib.Path",
        "msga_ros.frontend.base.np.ctypeslib.os.system",  # a way through our own imports
        "msga_ros.frontend.images.cv2",
        "msga_ros.geometry.camera.np",
        "msga_ros.geometry.camera.CameraError",  # ours, but nothing that a state holds
    ],
)
@pytest.mark.parametrize("kind", ["object", "enum", "named"])
def test_the_state_of_a_bag_run_cannot_run_anything(kind: str, name: str, tmp_path: Path) -> None:
    from msga_ros.bags.state import _FORMAT, StateError, from_bytes

    target = tmp_path / "exploded"
    content = f"touch {target}" if kind == "enum" else ["command", f"touch {target}"]
    entry = [kind, name] if kind == "named" else [kind, name, content]
    text = json.dumps({"format": _FORMAT, "objects": [entry], "root": [0]})
    buffer = io.BytesIO()
    np.savez(buffer, np.frombuffer(text.encode(), np.uint8))
    with pytest.raises(StateError, match="no place in a state"):
        from_bytes(buffer.getvalue())
    assert not target.exists()


@pytest.mark.parametrize("packed", [False, True])
def test_a_pickle_in_the_place_of_a_state_is_refused_and_not_run(
    packed: bool, tmp_path: Path
) -> None:
    from msga_ros.bags.state import StateError, from_bytes

    target = tmp_path / "exploded"
    bomb = _Bomb(target)
    if packed:  # an array of objects, which NumPy keeps as a pickle
        buffer = io.BytesIO()
        np.savez(buffer, np.array([bomb], dtype=object))
        state = buffer.getvalue()
    else:
        state = pickle.dumps((0, bomb))
    with pytest.raises(StateError):
        from_bytes(state)
    assert not target.exists()
    if packed:  # the bomb is a real one
        np.load(io.BytesIO(state), allow_pickle=True)["arr_0"]
    else:
        pickle.loads(state)
    assert target.exists()


class _Bomb:
    """Creates a file when it is unpickled by a careless reader."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (_explode, (str(self._target),))


def _explode(target: str) -> None:
    Path(target).write_text("unpickled")


@pytest.mark.parametrize("wrap", [lambda bomb: bomb, lambda bomb: {"state_dict": {"a": bomb}}])
def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(wrap: object, tmp_path: Path) -> None:
    target, path = tmp_path / "exploded", tmp_path / "bomb.pth"
    torch.save(wrap(_Bomb(target)), path)  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=r"bomb\.pth"):
        MSGANet.load(path)
    assert not target.exists()
    torch.load(path, weights_only=False)  # the bomb is a real one
    assert target.exists()


def test_a_checkpoint_that_is_not_finite_is_refused(any_weights: Path, tmp_path: Path) -> None:
    from msga_ros.network import save_checkpoint
    from msga_ros.network.checkpoint import read_checkpoint

    config, state = read_checkpoint(any_weights, MSGANet)
    name = next(iter(state))
    for value in (float("nan"), float("inf")):
        broken = {**state, name: state[name].clone()}
        broken[name].view(-1)[0] = value
        path = tmp_path / "broken.safetensors"
        save_checkpoint(path, config, broken)
        with pytest.raises(CheckpointError, match=f"{name} is not finite"):
            MSGANet.load(path)
