"""Configuration of the front end."""

from __future__ import annotations

from dataclasses import dataclass

from msga_ros.configuration.setting import check_ranges, setting
from msga_ros.frontend import FRONTENDS
from msga_ros.frontend.matchers import AUTOMATIC, matcher_names


@dataclass(frozen=True)
class FrontendConfig:
    """Images to putative matches."""

    name: str = setting(
        "sift", "Feature detector and descriptor.", choices=FRONTENDS.names, at_start=True
    )
    matcher: str = setting(
        AUTOMATIC,
        "From features to putative matches: nearest, neighbours in the space of the descriptors; "
        "lightglue (aliked, disk) or lighterglue (xfeat), networks; auto: what suits the front end "
        "best.",
        choices=matcher_names,
        at_start=True,
    )
    device: str = setting(
        "auto",
        "Of learned features and of matching, by networks or nearest neighbours: auto (CUDA where "
        "there is one), cpu, cuda or cuda:N.",
        at_start=True,
    )
    max_keypoints: int = setting(
        2000, "Strongest keypoints kept in each view.", minimum=8, maximum=100_000
    )
    max_image_size: int = setting(
        0,
        "Longest side that features are extracted at; 0: as received, up to max_pixels.",
        unit="px",
        minimum=0,
        maximum=100_000,
    )
    max_pixels: int = setting(
        6_000_000,
        "Images with more pixels are reduced before features are extracted: SIFT takes 220 bytes a "
        "pixel; 0: never.",
        unit="px",
        minimum=0,
        maximum=1_000_000_000,
    )
    ratio: float = setting(
        0.95,
        "Of nearest: keep matches whose best / second-best distance is below this; 1.0: keep all.",
        minimum=0.01,
        maximum=1.0,
    )
    mutual: bool = setting(
        True, "Of nearest: keep only matches that are each other's nearest neighbours."
    )
    max_matches: int = setting(
        0,
        "Of the matches that pass, keep so many with the smallest ratios, or of which the matcher "
        "is surest: less work for the network and the pose. 0: all.",
        minimum=0,
        maximum=1_000_000,
    )
    own: object | None = None  # `Config` of the front end; None: as by default

    def __post_init__(self) -> None:
        check_ranges(self, "frontend")
