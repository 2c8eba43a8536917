"""Configuration of the front end."""

from __future__ import annotations

from dataclasses import dataclass

from msga_ros.configuration.yaml_dataclass import require


@dataclass(frozen=True)
class FrontendConfig:
    """Images to putative matches."""

    name: str = "sift"  # which front end; `FRONTENDS` lists them
    max_keypoints: int = 2000  # strongest keypoints kept in each view
    max_image_size: int = (
        0  # longest side, in pixels, that features are extracted at; 0: as received
    )
    ratio: float = 0.95  # ratio test: keep best / second-best distance below this; 1.0: off
    mutual: bool = True  # keep only matches that are each other's nearest neighbours
    max_matches: int = 0  # of those, keep so many with the smallest ratios; 0: all
    own: object | None = None  # `Config` of the front end; None: as by default

    def __post_init__(self) -> None:
        require(self.max_keypoints >= 8, "frontend.max_keypoints must be at least 8")
        require(self.max_image_size >= 0, "frontend.max_image_size must not be negative")
        require(0.0 < self.ratio <= 1.0, "frontend.ratio must be in (0, 1]")
        require(self.max_matches >= 0, "frontend.max_matches must not be negative")
