"""Everything that is to be measured on a GPU, in one go: `python benchmarks/gpu`.

    python benchmarks/gpu --output gpu.json --seconds 480 [--sections network training] [--small]

Writes JSON after every entry and skips what the file already has, so a run that was cut off goes
on. Runs on a CPU as well (`--device cpu --small`: small sizes, to try it). Needs torch, NumPy,
OpenCV, h5py, PyYAML, safetensors, rich and lightning_fabric; PoseLib, pytest and ONNX Runtime where
their parts are to run.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent), str(ROOT / "benchmarks")]

import torch  # noqa: E402
from ceilings import measure_ceilings  # noqa: E402
from continuation import continue_trainings  # noqa: E402
from fused_speed import measure_fused  # noqa: E402
from fused_tuning import measure_tuning  # noqa: E402
from network_speed import measure_compiled, measure_network, measure_onnx  # noqa: E402
from pipeline_speed import measure_matching, measure_stages, measure_streams  # noqa: E402
from profile_kernels import measure_kernels  # noqa: E402
from records import Records  # noqa: E402
from training_speed import measure_training  # noqa: E402
from unit_tests import run_tests  # noqa: E402


def measure_learned(records: Records) -> None:
    """What needs PoseLib is imported where it is wanted: all else runs without."""
    if find_spec("poselib") is None:
        print("learned: PoseLib is not installed", flush=True)
        return
    import learned_stages

    learned_stages.measure_learned(records)


SECTIONS = {
    "ceilings": measure_ceilings,
    "tests": run_tests,
    "network": measure_network,
    "fused": measure_fused,
    "onnx": measure_onnx,
    "matching": measure_matching,
    "streams": measure_streams,
    "stages": measure_stages,
    "learned": measure_learned,
    "kernels": measure_kernels,
    "tuning": measure_tuning,
    "compiled": measure_compiled,
    "training": measure_training,
}
LONG = ("tuning", "compiled", "training")  # to be asked for


def main() -> None:
    """Run the sections that are asked for while there is time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    parser.add_argument("--seconds", type=float, default=480.0, help="start nothing new after that")
    parser.add_argument(
        "--sections",
        nargs="*",
        choices=SECTIONS,
        default=[name for name in SECTIONS if name not in LONG],
        help=f"left out: all but {', '.join(LONG)}",
    )
    parser.add_argument("--thorough", action="store_true", help="all sizes in all precisions")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--train",
        nargs="+",
        default=[],
        metavar="FILE.yaml=SHARE",
        help="trainings that go on for a share each of the time that is left at the end",
    )
    parser.add_argument(
        "--places",
        nargs="+",
        type=Path,
        default=[],
        help="folders of posed images with pairs.txt, for the section learned",
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of their states")
    parser.add_argument("--small", action="store_true", help="small sizes, few repeats")
    arguments = parser.parse_args()
    records = Records(
        arguments.output,
        arguments.seconds,
        arguments.device,
        arguments.small,
        arguments.thorough,
        arguments.places,
    )
    for name in arguments.sections:
        started = time.monotonic()
        try:
            SECTIONS[name](records)
        except Exception:  # one section's fault must not cost the others
            records.error(name, traceback.format_exc())
        records.took(name, time.monotonic() - started)
    if arguments.train:
        continue_trainings(records, arguments.train, arguments.runs)
    records.print()


if __name__ == "__main__":
    main()
