r"""What each entry of the evidence is worth to finished weights: the same matches without it.

    python benchmarks/evidence_worth.py runs/matches/development_sift_640.h5 -w msga_net_lite

Networks are trained with samples whose entries are unknown, so an entry can be kept from them.
Of each set of weights, with all that they want to know, without one entry, and without any: AUC of
the pose by `msga+poselib`, and how well the score alone tells true matches from false ones (ROC
AUC, mean of the pairs). The prefilter, of ratio and mutual check, is the same for all rows; behind
it all matches are mutual.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import mannwhitneyu  # type: ignore[import-untyped]

from msga_ros.datasets.dumps import INLIER_THRESHOLD, DumpFile, Pair
from msga_ros.evaluation.estimators import Estimator, SharedSieve, create
from msga_ros.evaluation.metrics import pose_auc
from msga_ros.geometry.pose import pose_error_deg
from msga_ros.network import MSGANet
from msga_ros.network.checkpoint import find_weights
from msga_ros.network.evidence import EVIDENCE
from msga_ros.network.match_scores import MatchScores
from msga_ros.two_view.config import PipelineConfig
from msga_ros.two_view.sieves.msga import MSGASieve
from msga_ros.two_view.stages import NormalisedMatches


@dataclass
class Judged:
    """A network that does not see some entries, and what came of it: pose errors in degrees."""

    name: str
    sieve: SharedSieve
    estimator: Estimator
    errors: list[float] = field(default_factory=list)
    ranked: list[float] = field(default_factory=list)


class Blinded:
    """The network as a sieve that does not see some entries of the evidence."""

    def __init__(self, sieve: MSGASieve, hidden: Sequence[str]) -> None:
        self._sieve = sieve
        self._columns = [EVIDENCE.index(name) for name in hidden]
        self.source = sieve.source
        self.verifies = sieve.verifies

    def __call__(self, matches: NormalisedMatches) -> MatchScores:
        assert matches.evidence is not None
        seen = matches.evidence.copy()
        seen[:, self._columns] = np.nan
        return self._sieve(replace(matches, evidence=seen))

    def reconfigured(self, config: PipelineConfig) -> Blinded:
        raise NotImplementedError("nothing changes while it is judged")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("dump", type=Path)
    parser.add_argument("-w", "--weights", action="append", help="sets of weights, or paths")
    parser.add_argument("--stride", type=int, default=1, help="every so many pairs")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("weights", "without", "AUC@5/10/20", "score: ROC AUC", title=asked.dump.name)
    for weights in asked.weights or ["msga_net_lite"]:
        rows = judged(weights)
        with DumpFile(asked.dump) as dump:
            for index in range(0, len(dump), asked.stride):
                for row in rows:
                    judge(row, dump[index])
        for row in rows:
            areas = "/".join(f"{100 * value:.1f}" for value in pose_auc(row.errors))
            table.add_row(weights, row.name, areas, f"{np.nanmean(row.ranked):.4f}")
    Console().print(table)


def judged(weights: str) -> list[Judged]:
    """The network with all evidence that it wants, without each entry, and without any."""
    config = PipelineConfig()
    net = MSGANet.load(find_weights(weights))
    wanted = net.config.evidence_names
    hidden = [(), *((name,) for name in wanted if name != "mutual"), wanted]
    rows = []
    for names in hidden:
        sieve = SharedSieve(Blinded(MSGASieve(net, config.network), names))
        name = "all" if names == wanted else names[0] if names else "-"
        rows.append(Judged(name, sieve, create("msga+poselib", config, sieve)))
    return rows


def judge(row: Judged, pair: Pair) -> None:
    """Add what comes of one pair."""
    found = row.estimator(pair)
    truth = pair.rotation, pair.translation
    error = max(pose_error_deg(found.rotation, found.translation, *truth))
    row.errors.append(error if found.success else np.inf)
    scores, _ = row.sieve(pair, PipelineConfig().frontend)
    seen = np.isfinite(scores.score)
    row.ranked.append(roc_auc(scores.score[seen], pair.residual[seen] < INLIER_THRESHOLD))


def roc_auc(score: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    """How often a true match scores above a false one, ties half; NaN without one of either."""
    positive, negative = score[true], score[~true]
    if not len(positive) or not len(negative):
        return float("nan")
    greater = mannwhitneyu(positive, negative, method="asymptotic").statistic
    return float(greater / (len(positive) * len(negative)))


if __name__ == "__main__":
    main()
