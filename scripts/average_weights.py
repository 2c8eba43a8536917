#!/usr/bin/env python3
"""Average two sets of weights of one structure: what a training started from, and what it came to.

    scripts/average_weights.py BEFORE.safetensors AFTER.safetensors -o OUT.safetensors [--share 0.5]

`--share` is the second set's. Such averages can hold where either set alone wins on one kind of
matches and loses on another (Wortsman et al., Model soups, ICML 2022); whether they do is to be
measured. Metadata are the second set's, with a note of the average.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from msga_ros.whole_files import write_whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.5, help="of the second set, 0 to 1")
    arguments = parser.parse_args()
    if not 0 <= arguments.share <= 1:
        parser.error(f"--share must be between 0 and 1, not {arguments.share}")
    before, _ = _read(arguments.before)
    after, notes = _read(arguments.after)
    different = {name for name in before.keys() | after.keys() if not _alike(before, after, name)}
    if different:
        parser.error(f"not of one structure: {', '.join(sorted(different)[:3])}")
    notes["average"] = f"{arguments.share:g} of these, the rest of {arguments.before.name}"
    made = {
        name: value.double().lerp(after[name].double(), arguments.share).to(value.dtype)
        if value.is_floating_point()
        else after[name]
        for name, value in before.items()
    }
    write_whole(arguments.output, save(made, notes))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def _alike(before: dict[str, Tensor], after: dict[str, Tensor], name: str) -> bool:
    return name in before and name in after and before[name].shape == after[name].shape


if __name__ == "__main__":
    main()
