"""Faults of the whole process: checkpoints, GPU, QoS, signals, neighbours. `make faults`."""
# ruff: noqa: E402

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

for needed in ("rclpy", "msga_ros.msg"):
    pytest.importorskip(needed, reason="needs the built ROS package")

from faults.fault import Row
from faults.feed import Errors, Feed, reliable
from faults.footage import Footage
from faults.report import ALL, Report
from faults.resources import Resources
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from node.harness import REPOSITORY, STEREO, NodeProcess
from rclpy.qos import QoSProfile, qos_profile_sensor_data

pytestmark = [
    pytest.mark.ros,
    pytest.mark.skipif(not ALL, reason="a process for each: make faults runs them"),
]

PARAMETERS = {
    "frontend.max_keypoints": 300,
    "publish.diagnostics_period": 0.2,
    "publish.no_input_warning": 1.0,
}


def node(weights: Path | str, **arguments: Any) -> NodeProcess:
    """A node whose inputs lose nothing, unless `input_qos` says otherwise."""
    more = arguments.pop("parameters", {})
    namespace = arguments.get("namespace", "")
    parameters = {
        **PARAMETERS,
        **reliable(f"{namespace}/{name}" for name in STEREO),
        "network.weights": weights,
        **more,
    }
    return NodeProcess(STEREO, parameters, **{"input_qos": QoSProfile(depth=20), **arguments})


def said(feed: Feed, pattern: str, timeout: float = 15.0) -> str:
    """Wait until the diagnostics say it."""
    text: str = feed.run.wait_for(lambda: feed.said(pattern, 0), timeout, pattern)
    return text


def well(feed: Feed) -> tuple[Errors, float, Resources]:
    """The pose of the next good pair, how long it took, and what the process holds."""
    if not feed._count:
        feed.begin()
    started = time.monotonic()
    errors = feed.right()
    assert "Traceback" not in feed.run.log(), feed.run.log()
    return errors, time.monotonic() - started, feed.resources()


def change(run: NodeProcess, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(run.call(ChangeState, "/msga/change_state", request).success)


def test_corrupt_checkpoint(
    tmp_path: Path, any_weights: Path, footage: Footage, report: Report
) -> None:
    """Cut short, or with a NaN in it: it says so and waits; mended, it works. Then SIGTERM."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(any_weights.read_bytes()[:100_000])
    with node(path, wait_for_state="unconfigured") as run:
        feed = Feed(run, footage, stereo=True)
        cut = said(feed, r"cannot configure: \S+model\.safetensors.*")
        spoil_value(any_weights, path)
        assert not change(run, Transition.TRANSITION_CONFIGURE)
        nan = said(feed, r"cannot configure: \S+model\.safetensors.*(NaN|finite).*")
        shutil.copy(any_weights, path)
        assert change(run, Transition.TRANSITION_CONFIGURE)
        assert change(run, Transition.TRANSITION_ACTIVATE)
        run.wait_connected()
        state = well(feed)
        report.add("stereo", Row("checkpoint cut short", shorten(cut, path), *state))
        report.add("stereo", Row("checkpoint with a NaN", shorten(nan, path), *state))
        row = ended_by(feed, signal.SIGTERM)
    report.add("stereo", row)


def test_gpu_out_of_memory(any_weights: Path, footage: Footage, report: Report) -> None:
    command = [str(REPOSITORY / "test" / "faults" / "gpu_out_of_memory.py")]
    with node(any_weights, command=command, parameters={"network.device": "cuda"}) as run:
        feed = Feed(run, footage, stereo=True)
        assert run.diagnostic("model")["device"] == "cuda"
        for _ in range(6):
            feed.right()
        text = said(feed, r"cuda ran out of memory .*; from now on the network runs on the CPU")
        assert run.fresh_diagnostic("model")["device"] == "cpu"
        assert feed.counter("errors") == 0
        report.add("stereo", Row("GPU out of memory in mid-run (made up)", text, *well(feed)))
        row = ended_by(feed, signal.SIGINT)
    report.add("stereo", row)


def test_input_whose_qos_does_not_fit(any_weights: Path, footage: Footage, report: Report) -> None:
    with node(any_weights, connect=False) as run:
        feed = Feed(run, footage, stereo=True)
        run.use_qos("left/image", qos_profile_sensor_data)  # best effort
        pattern = r"/left/image: a publisher offers another QoS than we ask for \(reliability\)"
        text = said(feed, pattern)
        silence = (
            r"no complete set .*/left/image: 0 received; we ask for reliable.*\(incompatible\)"
        )
        said(feed, silence)
        run.use_qos("left/image", QoSProfile(depth=5))  # reliable
        run.wait_connected()
        report.add("stereo", Row("publisher whose QoS does not fit", text, *well(feed)))


def test_two_nodes_and_a_kill(any_weights: Path, footage: Footage, report: Report) -> None:
    """Two side by side; one is killed, the other goes on, the first is started again."""

    def beside(name: str, domain: int | None) -> NodeProcess:
        topics = {one: f"/{name}/{one}" for one in STEREO}
        extra = ["-r", f"__ns:=/{name}"]
        return node(
            any_weights,
            namespace=f"/{name}",
            domain=domain,
            topics=topics,
            extra_arguments=extra,
        )

    with beside("a", None) as first:
        feed_a = Feed(first, footage, stereo=True, namespace="/a")
        with beside("b", first.domain) as second:
            feed_b = Feed(second, footage, stereo=True, namespace="/b")
            for _ in range(3):
                feed_a.right()
                state = well(feed_b)
            received = int(second.fresh_diagnostic("input")["received /b/left/image"])
            assert received <= feed_b._count, "it hears its neighbour"
            text = "a/msga and b/msga, each of its own inputs"
            report.add("stereo", Row("two nodes side by side", text, *state))

            feed_a.send(feed_a.good())  # killed with work in hand
            assert first.stop(signal.SIGKILL) == -signal.SIGKILL
            for _ in range(3):
                state = well(feed_b)
            report.add("stereo", Row("its neighbour is killed", "nothing: it goes on", *state))

            with beside("a", first.domain) as again:
                feed = Feed(again, footage, stereo=True, namespace="/a")
                text = said(feed, "active")
                report.add("stereo", Row("SIGKILL, then started again", text, *well(feed)))
            well(feed_b)


def ended_by(feed: Feed, number: signal.Signals) -> Row:
    """End it with work in hand: exit code 0, and the last pose was published."""
    feed.run.wait_for(lambda: True)
    errors = feed.right()
    held = feed.resources()
    feed.send(feed.good())
    feed.spin(0.05)
    started = time.monotonic()
    assert feed.run.stop(number) == 0
    seconds = time.monotonic() - started
    log = feed.run.log()
    assert "Traceback" not in log, log
    return Row(f"{number.name} with work in hand", f"exit code 0 after {seconds:.1f} s", errors,
               0.0, held)  # fmt: skip


def spoil_value(source: Path, target: Path) -> None:
    """A checkpoint with one value that is not a number."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(source, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        metadata = opened.metadata()
    name = next(name for name, one in tensors.items() if one.is_floating_point())
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, target, metadata)


def shorten(text: str, path: Path) -> str:
    """Without the folder of this run."""
    return text.replace(str(path), path.name)
