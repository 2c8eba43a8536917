"""One variant of the fused kernels: each compiled, and held against the same operation by torch.

    python benchmarks/gpu/fused_checks.py NETWORK BATCH MATCHES VARIANT OUTPUT.jsonl [DEVICE]

A process of its own, because an error of a device ends all that its process can do there; the
parent starts another for the operations that are left. Writes a line before and after each.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent), str(ROOT / "benchmarks")]

import torch  # noqa: E402
from fused_variants import variants  # noqa: E402
from scenes import scenes  # noqa: E402

from msga_ros.network import MSGANet, packaged_weights  # noqa: E402
from msga_ros.network.fused.checking import Call, apart, calls_of  # noqa: E402
from msga_ros.network.fused.operations import NAMES, kernel  # noqa: E402


def main() -> None:
    """Check what OUTPUT does not name yet."""
    name, batch, count, variant, output = sys.argv[1:6]
    device = torch.device(sys.argv[6] if len(sys.argv) > 6 else "cuda")
    path = Path(output)
    seen = set()
    if path.exists():
        seen = {json.loads(line)["operation"] for line in path.read_text().splitlines()}
    net = MSGANet.load(packaged_weights(name)).to(device)
    matches, evidence = (one.to(device) for one in scenes(int(batch), int(count)))
    valid = torch.ones(matches.shape[:2], dtype=torch.bool, device=device)
    valid[:, ::9] = False
    torch.backends.cudnn.allow_tf32 = False
    with path.open("a") as file, torch.inference_mode():
        calls = calls_of(net, matches, valid, evidence, variants(int(batch))[variant])
        for operation in reversed(NAMES):  # the timings beside it begin with the first
            if operation in seen:
                continue

            def say(entry: dict[str, object], operation: str = operation) -> None:
                file.write(json.dumps({"operation": operation, **entry}) + "\n")
                file.flush()

            say({"error": "the process ended here"})
            say(_checked([call for call in calls if call.name == operation], device))


def _checked(calls: list[Call], device: torch.device) -> dict[str, object]:
    """Of all calls of an operation the largest difference, and where; or the first error."""
    started = time.monotonic()
    worst, size = 0.0, ""
    for call in calls:
        try:
            found = kernel(call.name)(*call.arguments, **call.keywords)
            if device.type == "cuda":
                torch.cuda.synchronize()
            difference = apart(call, found)
        except Exception as error:  # of a compiler or a driver, whatever it is
            text = f"{type(error).__name__}: {error}"
            return {"error": f"{text[:700]} ... {text[-700:]}", "size": call.size}
        if not difference <= worst:
            worst, size = difference, call.size
    took = time.monotonic() - started
    return {"apart": worst, "size": size, "calls": len(calls), "took_s": round(took, 1)}


if __name__ == "__main__":
    main()
