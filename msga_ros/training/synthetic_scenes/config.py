"""What synthetic scenes are made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """Of a match: right, or wrong in one of these ways."""

    RIGHT = 0
    RANDOM = 1  # a keypoint somewhere else
    REPEATED = 2  # the same texture some periods of a lattice away
    MOVING = 3  # right, on an object that moves by itself
    LINE = 4  # slid along an edge of the scene, or along the epipolar line
    SHARED = 5  # several keypoints matched to one
    NEAR = 6  # the right place missed by a few pixels


class Motion(IntEnum):
    """Of the camera."""

    SIDEWAYS = 0  # any direction, mostly across the view
    ORBIT = 1  # around the scene, looking at it
    FORWARD = 2  # or backward, along the optical axis
    TINY = 3  # a baseline of a 50th to a 500th of the depth
    ROTATION = 4  # hardly any baseline under a large rotation


class Structure(IntEnum):
    """Of the scene."""

    CLOUD = 0
    PLANES = 1  # one to three, and points beside them
    DOMINANT_PLANE = 2  # nearly all on one


@dataclass(frozen=True)
class SyntheticConfig:
    """Ranges are (least, largest) of a scene; shares of kinds of scenes are in the order of the
    enumerations and need not sum to 1.

    Where a comment says "measured", the range is the 2 % to 98 % quantiles, rounded, over the 292
    pairs of the training scenes sfm_saharov32, sfm_miku_plush (MIT), sfm_banana (MIT) and
    mobilebrick_sample (BSD).
    """

    motions: tuple[float, ...] = (0.33, 0.27, 0.2, 0.12, 0.08)
    structures: tuple[float, ...] = (0.35, 0.4, 0.25)
    field_of_view: tuple[float, float] = (20.0, 110.0)  # degrees, the longer side of the image
    image_width: tuple[float, float] = (640.0, 1280.0)  # pixels, that noise is in
    rolled: float = 0.2  # share of scenes with any in-plane rotation between the views
    # Of all matches; log-uniform in unfiltered scenes, log-uniform or uniform in prefiltered ones.
    # (Measured: 3 % to 47 % unfiltered, median 14 %; 9 % to 88 % prefiltered, median 42 %.)
    inlier_share: tuple[float, float] = (0.02, 0.9)
    fewest_inliers: int = 8  # of a scene, whatever its share
    # Standard deviation per coordinate, pixels, log-uniform. (Measured from the median distance to
    # the epipolar line of mutual matches with ratio < 0.8: 0.09 to 1.3.)
    noise: tuple[float, float] = (0.09, 1.3)
    # Of matches, with 2 to 8 times the noise. (Measured: the 90 % quantile of that distance is 1.7
    # to 11 times the median, where a normal distribution has 2.4.)
    tail_share: tuple[float, float] = (0.0, 0.3)
    near_miss: tuple[float, float] = (2.0, 20.0)  # pixels, log-uniform
    # Share of scenes whose matches are those that a mutual check and a ratio test leave.
    prefiltered: float = 0.5
    prefilter_ratio: float = 0.95

    def __post_init__(self) -> None:
        for name, kinds in (("motions", Motion), ("structures", Structure)):
            if len(getattr(self, name)) != len(kinds):
                raise ValueError(f"{name} must have {len(kinds)} entries")
        low, high = self.inlier_share
        if not 0 < low <= high <= 1:
            raise ValueError(f"inlier_share must lie in (0, 1], not {self.inlier_share}")
        if not 0 < self.field_of_view[0] <= self.field_of_view[1] < 170:
            raise ValueError(f"field_of_view must lie in (0, 170), not {self.field_of_view}")
