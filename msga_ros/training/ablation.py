"""Ablations: the same short training for each variant of a configuration, judged on the same dumps.

One YAML file holds the training that all share and, by name, what each variant changes; see
`configs/ablation.yaml`. What is done is kept: a run that was cut off goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from msga_ros.configuration.yaml_dataclass import build, read_yaml, require
from msga_ros.evaluation.dump_evaluation import evaluate
from msga_ros.evaluation.records import RecordFile
from msga_ros.evaluation.tables import EvaluationRow, summarise
from msga_ros.training.config import TrainConfig
from msga_ros.training.trainer import train

Announce = Callable[[str], None]


@dataclass(frozen=True)
class AblationConfig:
    """What is trained and how it is judged."""

    output: str  # folder of the runs, one below it for each variant
    dumps: tuple[str, ...]  # judged on
    estimators: tuple[str, ...]
    training: Mapping[str, object]  # as in a training's file, without `output`
    variants: Mapping[str, Mapping[str, object]] = field(
        default_factory=dict
    )  # name -> dotted entries

    @classmethod
    def load(cls, path: str | Path) -> AblationConfig:
        """Read a YAML file.

        Raises:
            ValueError: an unknown or missing entry, or a variant that is no training.
        """
        config: AblationConfig = build(cls, "", read_yaml(Path(path)))
        for name in config.variants:
            config.variant(name)
        return config

    def variant(self, name: str) -> TrainConfig:
        """The training of one variant."""
        document = json.loads(json.dumps(self.training))
        changes = self.variants[name] or {}
        require(isinstance(changes, Mapping), f"variants.{name}: entries are expected")
        for entry, value in changes.items():
            group, _, key = str(entry).rpartition(".")
            of_group = document.setdefault(group, {}) if group else document
            require(isinstance(of_group, dict), f"{group} is a group of entries, not {of_group!r}")
            of_group[key] = value
        document["output"] = str(Path(self.output) / name.replace(" ", "_"))
        return TrainConfig.from_entries(document, name)


def run_ablation(
    config: AblationConfig, announce: Announce = lambda _: None
) -> dict[str, list[EvaluationRow]]:
    """Train and judge every variant; rows by variant."""
    rows: dict[str, list[EvaluationRow]] = {}
    cache = RecordFile(Path(config.output) / "records.jsonl")
    for name in config.variants:
        announce(name)
        weights = train(config.variant(name), accelerator="cpu", progress=False)
        records = evaluate(config.dumps, config.estimators, (weights,), cache=cache)
        rows[name] = summarise(records)
        for row in rows[name]:
            announce(f"  {row.estimator} {row.auc5:.1f}/{row.auc10:.1f}/{row.auc20:.1f}")
    return rows


def ablation_table(rows: Mapping[str, Iterable[EvaluationRow]]) -> str:
    """Markdown: a line a variant, AUC@5/10/20 and F of each estimator."""
    lines: list[str] = []
    for name, entries in rows.items():
        entries = list(entries)
        if not lines:
            heads = [f"`{row.estimator}` AUC@5/10/20 | F" for row in entries]
            lines.append(f"| variant | {' | '.join(heads)} |")
            lines.append("|---|" + "---|---|" * len(entries))
        cells = [
            f"{row.auc5:.1f} / {row.auc10:.1f} / {row.auc20:.1f} | {row.f:.1f}" for row in entries
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
