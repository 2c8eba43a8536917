"""Ablations: every variant is trained as it says, judged, and never trained twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from synthetic_dump import synthetic_pair, write_dump

from msga_ros.network import MSGANet
from msga_ros.training.ablation import AblationConfig, ablation_table, run_ablation


def write_config(folder: Path, **changes: Any) -> Path:
    dump = write_dump(folder / "pairs.h5", [synthetic_pair(seed) for seed in range(2)])
    document = {
        "output": str(folder / "runs"),
        "dumps": [str(dump)],
        "estimators": ["msga+poselib"],
        "training": {
            "network": {"channels": 8, "residual_blocks": 1, "grid": 4},
            "batch": {"matches": 128, "sizes": [64]},
            "optimiser": {"iterations": 2},
        },
        "variants": {
            "all of it": {},
            "no interaction": {"network.interaction": False, "seed": 3},
        },
    }
    path = folder / "ablation.yaml"
    path.write_text(yaml.safe_dump({**document, **changes}))
    return path


def test_every_variant_is_trained_as_it_says_and_only_once(tmp_path: Path) -> None:
    config = AblationConfig.load(write_config(tmp_path))
    assert config.variant("no interaction").seed == 3
    rows = run_ablation(config)
    weights = {
        name: tmp_path / "runs" / name.replace(" ", "_") / "msga_net.safetensors" for name in rows
    }
    structures = {name: MSGANet.load(path).config.interaction for name, path in weights.items()}
    assert structures == {"all of it": True, "no interaction": False}
    judged = (tmp_path / "runs" / "records.jsonl").read_bytes()
    again = run_ablation(config)
    assert (tmp_path / "runs" / "records.jsonl").read_bytes() == judged
    assert ablation_table(again) == ablation_table(rows)
    lines = ablation_table(rows).splitlines()
    assert lines[2].startswith("| all of it |") and lines[3].startswith("| no interaction |")
    assert lines[2].split("|")[3].strip() == f"{rows['all of it'][0].f:.1f}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"estimator": ["msga"]}, "unknown configuration entry 'estimator'"),
        ({"variants": {"x": {"network.color": 1}}}, "unknown configuration entry 'network.color'"),
        ({"variants": {"x": {"network.gate": "y"}}}, "gate must be"),
    ],
)
def test_wrong_entries_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AblationConfig.load(write_config(tmp_path, **changes))


def test_the_configuration_in_the_repository_is_readable() -> None:
    config = AblationConfig.load(Path(__file__).parents[2] / "configs" / "ablation.yaml")
    assert len({str(config.variant(name)) for name in config.variants}) == len(config.variants)
