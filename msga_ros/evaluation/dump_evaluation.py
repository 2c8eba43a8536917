"""Evaluation of estimators on dumps: all of them on the same matches, pair by pair.

Estimators are slow and metrics are cheap: `evaluate` returns records, which may be kept in a file
and reused; `msga_ros.evaluation.tables.summarise` computes the rows of a table from them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msga_ros
from msga_ros.datasets.dumps import INLIER_THRESHOLD, DumpFile, Pair
from msga_ros.evaluation.estimators import NETWORK, Estimator, SharedSieve, create, sieve_of
from msga_ros.evaluation.memory import PeakMemory
from msga_ros.evaluation.metrics import precision_recall_f
from msga_ros.evaluation.records import PairRecord, RecordFile, RecordKey
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.network import find_weights
from msga_ros.two_view.chosen_stages import create_sieve
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.sieves.msga import MSGASieve

_PACKAGED = Path(msga_ros.__file__).resolve().parent / "weights"

Advance = Callable[[int, int, str], None]  # records done, records in all, name of the dump


def evaluate(
    dumps: Sequence[str | Path],
    estimators: Sequence[str],
    weights: Sequence[str | Path] = (),
    config: PipelineConfig | None = None,
    *,
    stride: int = 1,
    limit: int = 0,
    cache: RecordFile | None = None,
    advance: Advance | None = None,
) -> list[PairRecord]:
    """Judge all estimators on the same pairs of the dumps.

    Args:
        dumps: files in the published layout.
        estimators: names of `msga_ros.evaluation.estimators`.
        weights: checkpoints; each estimator with a network is judged once with each. None: those of
            the configuration, else the packaged ones.
        config: the front end's filters, device, thresholds and seed (`estimators.create`).
        stride, limit: every `stride`-th pair, and at most `limit` of those (0: all), spread evenly.
        cache: records that need not be computed again, and where new ones are kept.
        advance: called after each record.

    Returns:
        Records, by dump, pair and estimator.

    Raises:
        DumpError, CheckpointError, EstimatorError: unusable input.
    """
    chosen_judges = list(judges(estimators, weights, config or PipelineConfig()))
    chosen = {Path(path): _chosen(Path(path), stride, limit) for path in dumps}
    labels = dump_labels(list(chosen))
    total = len(chosen_judges) * sum(len(indices) for indices in chosen.values())
    records: list[PairRecord] = []
    for path, indices in chosen.items():
        status = path.stat()
        version = (path.name, status.st_size, status.st_mtime_ns)
        with DumpFile(path) as dump:
            for index in indices:
                pair: Pair | None = None
                for judge in chosen_judges:
                    key = judge.key(labels[path], index, version)
                    record = cache.find(key) if cache is not None else None
                    if record is None:
                        pair = pair or dump[index]
                        record = judge.record(key, pair)
                        if cache is not None:
                            cache.add(record)
                    records.append(record)
                    if advance:
                        advance(len(records), total, path.name)
    return records


@dataclass
class Judge:
    """An estimator with what identifies its records."""

    estimator: Estimator
    weights: str
    settings: str
    peak: PeakMemory = field(default_factory=PeakMemory)  # of the largest pair so far
    largest: int = -1  # matches in it

    def key(self, dump: str, index: int, version: tuple[str, int, int]) -> RecordKey:
        """What the record of a pair is kept under; `version`: of the dump's file."""
        settings = _digest([self.settings, *version])
        return (dump, index, self.estimator.name, self.weights, settings)

    def record(self, key: RecordKey, pair: Pair) -> PairRecord:
        """Estimate the motion of `pair` and compare it with the true one, errors in degrees."""
        self._prepare(pair)
        estimate = self.estimator(pair)
        true = pair.residual < INLIER_THRESHOLD
        errors = (math.inf, math.inf)
        if estimate.success:
            errors = pose_error_deg(
                estimate.rotation, estimate.translation, pair.rotation, pair.translation
            )
        precision, recall, f = precision_recall_f(estimate.inlier, true)
        dump, index, name, weights, settings = key
        return PairRecord(
            dump=dump,
            index=index,
            pair=pair.name,
            scene=pair.scene,
            estimator=name,
            weights=weights,
            settings=settings,
            matches=len(true),
            inlier_ratio=float(true.mean()) if len(true) else 0.0,
            success=estimate.success,
            rotation_error=errors[0],
            translation_error=errors[1],
            precision=precision,
            recall=recall,
            f=f,
            milliseconds=estimate.milliseconds,
            iterations=estimate.iterations,
            memory=self.peak.resident,
            device_memory=self.peak.device,
        )

    def _prepare(self, pair: Pair) -> None:
        """Calls whose time does not count: the very first, and one that measures the memory.

        The first pays for lazy initialisation. Measuring costs time, too, so it is done where a
        pair has more matches than all before. Copies of the pair, so that nothing is reused.
        """
        if self.largest < 0:
            self.estimator(dataclasses.replace(pair))
        if len(pair.residual) > self.largest:
            copy = dataclasses.replace(pair)
            with PeakMemory() as self.peak:
                self.estimator(copy)
            self.largest = len(pair.residual)


def judges(
    names: Sequence[str], weights: Sequence[str | Path], config: PipelineConfig
) -> Iterator[Judge]:
    """The estimators, those with the network once for each checkpoint; arguments of `evaluate`."""
    settings = _digest([msga_ros.__version__, json.dumps(dataclasses.asdict(config))])
    made: dict[str, list[tuple[str, SharedSieve, str]]] = {}
    for name in dict.fromkeys(names):
        sieve = sieve_of(name)
        if not sieve:
            yield Judge(create(name, config), "", settings)
            continue
        if sieve not in made:
            made[sieve] = list(_sieves(sieve, weights, config))
        for label, shared, digest in made[sieve]:
            judge = create(name, config, shared)
            yield Judge(judge, label, _digest([settings, digest]))


def _sieves(
    name: str, weights: Sequence[str | Path], config: PipelineConfig
) -> Iterator[tuple[str, SharedSieve, str]]:
    """Label, sieve, and a digest of what it depends on: the network once for each checkpoint."""
    if name != NETWORK:
        yield "", SharedSieve(create_sieve(config, name)), _digest([name])
        return
    for source in weights or (config.network.weights,):
        path = find_weights(source, config.network.device)
        network = dataclasses.replace(config.network, weights=str(path))
        sieve = MSGASieve.load(network)
        label = path.name if path.resolve().parent == _PACKAGED else str(path)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        yield label, SharedSieve(sieve), _digest([content, sieve.device])


def _chosen(path: Path, stride: int, limit: int) -> list[int]:
    """Indices of the pairs: every `stride`-th, then at most `limit`, spread evenly."""
    if stride < 1 or limit < 0:
        raise ValueError(f"stride {stride} must be positive and limit {limit} not negative")
    with DumpFile(path) as dump:
        indices = list(range(0, len(dump), stride))
    if not limit or limit >= len(indices):
        return indices
    return [indices[rank * len(indices) // limit] for rank in range(limit)]


def dump_labels(paths: Sequence[Path]) -> dict[Path, str]:
    """The file's name, or its path as given where two dumps have the same name."""
    names = [path.name for path in paths]
    return {path: path.name if names.count(path.name) == 1 else str(path) for path in paths}


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:16]
