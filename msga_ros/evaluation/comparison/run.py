"""All methods on all pairs, in turns: pair by pair, so that a busy minute is everybody's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from msga_ros.datasets.dumps import INLIER_THRESHOLD, true_residual
from msga_ros.evaluation.comparison.methods import Answer, Method
from msga_ros.evaluation.comparison.pairs import ImagePair
from msga_ros.evaluation.comparison.records import ComparisonFile, ComparisonRecord
from msga_ros.evaluation.memory import PeakMemory
from msga_ros.geometry.pose import pose_error_deg

Advance = Callable[[str], None]  # name of the pair that is done


def compare(
    pairs: Iterable[ImagePair],
    methods: Sequence[Method],
    cache: ComparisonFile | None = None,
    advance: Advance | None = None,
) -> list[ComparisonRecord]:
    """What each method makes of each pair, by pair.

    Each method runs once more before its first pair counts (libraries load and allocate then), and
    its memory is measured there. The method that begins changes from pair to pair.
    """
    records: list[ComparisonRecord] = []
    warm: set[str] = set()
    for number, pair in enumerate(pairs):
        made: dict[str, ComparisonRecord] = {}
        first = number % max(len(methods), 1)
        for method in (*methods[first:], *methods[:first]):
            record = cache.find((pair.name, method.name, method.digest)) if cache else None
            if record is None:
                memory = math.nan
                if method.name not in warm:
                    method(pair.image0, pair.image1, pair.camera0, pair.camera1)
                    with PeakMemory() as peak:
                        method(pair.image0, pair.image1, pair.camera0, pair.camera1)
                    memory = peak.resident
                    warm.add(method.name)
                answer = method(pair.image0, pair.image1, pair.camera0, pair.camera1)
                record = _record(pair, method, answer, memory)
                if cache is not None:
                    cache.add(record)
            made[method.name] = record
        records += [made[method.name] for method in methods]
        if advance:
            advance(pair.name)
    return records


def _record(pair: ImagePair, method: Method, answer: Answer, memory: float) -> ComparisonRecord:
    posed = bool(np.isfinite(answer.rotation).all())
    errors = (math.nan, math.nan)
    if pair.motion is not None:
        errors = (math.inf, math.inf)
        if posed:
            truth = pair.motion
            errors = pose_error_deg(
                answer.rotation, answer.translation, truth.rotation, truth.translation
            )
    return ComparisonRecord(
        pair=pair.name,
        scene=pair.scene,
        method=method.name,
        digest=method.digest,
        angle_deg=pair.angle_deg,
        related=pair.related,
        known=pair.motion is not None,
        ok=answer.ok,
        rotation_error=errors[0],
        translation_error=errors[1],
        matches=len(answer.inlier),
        inliers=int(answer.inlier.sum()),
        cpu_ms=answer.cpu_ms,
        wall_ms=answer.wall_ms,
        extract_cpu_ms=answer.cpu_stages.get("extract", math.nan),
        stages=dict(answer.stages),
        cpu_stages=dict(answer.cpu_stages),
        rotation=np.ravel(answer.rotation).tolist() if posed else [],
        translation=np.ravel(answer.translation).tolist() if posed else [],
        memory_mb=memory,
        true_share=_true_share(pair, answer),
    )


def _true_share(pair: ImagePair, answer: Answer) -> float:
    """Of the putative matches those that the true motion explains, by the bound of the dumps."""
    if pair.motion is None:
        return math.nan
    if not len(answer.keypoints0):
        return 0.0
    points = (
        pair.camera0.normalize(answer.keypoints0),
        pair.camera1.normalize(answer.keypoints1),
    )
    direction = pair.motion.translation / np.linalg.norm(pair.motion.translation)
    rows = np.hstack(points).astype(np.float32)
    residual = true_residual(rows, pair.motion.rotation, direction)
    return float((residual < INLIER_THRESHOLD).mean())
