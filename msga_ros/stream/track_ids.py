"""Track ids of the matches of an outcome; they are assigned here alone, in both modes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from msga_ros.odometry.tracks import Tracks
from msga_ros.odometry.updates import OdometryUpdate
from msga_ros.stream.feature_matches import feature_matches
from msga_ros.stream.processor import Outcome


class TrackIds:
    """Ids over one camera's frames, which stay with the features of its views.

    `next_id` is the one that the next new track gets; a run that goes on later takes it up again.
    """

    def __init__(self) -> None:
        self._tracks = Tracks()

    def follow(self, outcome: Outcome) -> Outcome:
        """An outcome of two views over time with its ids, 0 for outliers.

        Each outcome once, in the order of time. All ids are 0 where the front end has no fixed
        keypoints: none could be followed; and where a second front end has spoken: the tracks go
        on with what the first one matched, and its own matches are of none.
        """
        result = outcome.result
        if result.of_features.indices0 is None or outcome.current.features.ids is not None:
            return outcome
        ids = self._tracks.follow(outcome.reference, outcome.current, feature_matches(result))
        return outcome if result.refused else replace(outcome, track_ids=ids)

    @property
    def next_id(self) -> int:
        """See the class."""
        return self._tracks._next

    @next_id.setter
    def next_id(self, value: int) -> None:
        self._tracks._next = value


def with_ids_of_the_odometry(outcome: Outcome, update: OdometryUpdate) -> Outcome:
    """A stereo outcome with ids that persist, as the odometry follows the left features.

    An outlier has the id of its left feature: the right one is not of the track. 0 for features
    that the odometry does not follow (yet). The matches of a second front end have none.
    """
    if outcome.reference.features.ids is not None or outcome.result.refused is not None:
        return outcome  # it has them already, or its matches are of other features
    ids: NDArray[np.uint64] = update.feature_ids[feature_matches(outcome.result).indices0]
    # Two right features for one left feature: an inlier keeps the id, and the most probable one.
    outlier = ~np.asarray(outcome.result.inlier, dtype=bool)
    order = np.lexsort((-outcome.result.inlier_probability, outlier))
    first = order[np.unique(ids[order], return_index=True)[1]]
    once = np.zeros(len(ids), dtype=bool)
    once[first] = True
    return replace(outcome, track_ids=np.where(once, ids, np.uint64(0)))
