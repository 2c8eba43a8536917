"""The table of the node's parameters: name, default, range, meaning. No ROS in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msga_ros.config import PipelineConfig

Value = bool | int | float | str

_PIPELINE = PipelineConfig()  # the defaults of its groups

STRUCTURAL = "Read-only: give it at start."


@dataclass(frozen=True)
class Declaration:
    """One parameter. `minimum` and `maximum` are inclusive; `choices` for strings."""

    name: str
    default: Value
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False

    def check(self, value: Any) -> str | None:
        """The reason why `value` cannot be taken, or None."""
        kind = type(self.default)
        if type(value) is not kind:
            return f"{self.name} is {_TYPE_NAMES[kind]}, not {value!r}"
        if self.choices and value not in self.choices:
            return f"{self.name} must be one of {', '.join(self.choices)}, not {value!r}"
        if not isinstance(value, (int, float)):
            return None
        if not math.isfinite(value):
            return f"{self.name} must be a finite number, not {value}"
        if self.minimum is not None and value < self.minimum:
            return f"{self.name} must be at least {self.minimum:g}, not {value}"
        if self.maximum is not None and value > self.maximum:
            return f"{self.name} must be at most {self.maximum:g}, not {value}"
        return None


_TYPE_NAMES: Mapping[type, str] = {
    bool: "a bool",
    int: "an integer",
    float: "a double (a number with a decimal point)",
    str: "a string",
}


def _structural(name: str, default: Value, description: str, **kwargs: Any) -> Declaration:
    return Declaration(name, default, f"{description} {STRUCTURAL}", read_only=True, **kwargs)


DECLARATIONS: tuple[Declaration, ...] = (
    _structural(
        "mode",
        "stereo",
        "Which views are compared: left and right of one instant (stereo), or one camera over time "
        "(temporal).",
        choices=("stereo", "temporal"),
    ),
    _structural("autostart", True, "Configure and activate the node by itself."),
    _structural(
        "image_transport",
        "raw",
        "Type of the images: raw (sensor_msgs/Image) or compressed (sensor_msgs/CompressedImage).",
        choices=("raw", "compressed"),
    ),
    _structural(
        "rectified",
        False,
        "The images are rectified: use P of camera_info and no distortion, instead of K and D.",
    ),
    _structural(
        "max_image_pixels",
        50_000_000,
        "Images with more pixels are refused; compressed ones by their header, undecoded.",
        minimum=1,
        maximum=1_000_000_000,
    ),
    Declaration(
        "sync.slop",
        0.0,
        "Largest difference in seconds between the stamps of one set; 0: they must be equal.",
        minimum=0.0,
        maximum=1.0,
    ),
    _structural(
        "sync.queue_size",
        10,
        "Messages of each topic that wait for their partners.",
        minimum=1,
        maximum=1000,
    ),
    _structural(
        "sync.jump_back",
        0.5,
        "A stamp that lies so many seconds before the newest means that time has jumped back, and "
        "resets synchroniser and reference; one that is less old is late.",
        minimum=0.0,
        maximum=3600.0,
    ),
    Declaration(
        "temporal.reference",
        "previous",
        "What a new frame is compared with (mode temporal): the frame before, or a keyframe.",
        choices=("previous", "keyframe"),
    ),
    Declaration(
        "temporal.keyframe_max_parallax_deg",
        5.0,
        "A new keyframe is taken once the median parallax exceeds this, degrees.",
        minimum=0.0,
        maximum=180.0,
    ),
    Declaration(
        "temporal.keyframe_min_inliers",
        50,
        "A new keyframe is taken once fewer matches hold.",
        minimum=0,
        maximum=100_000,
    ),
    Declaration(
        "temporal.keyframe_min_inlier_ratio",
        0.1,
        "A new keyframe is taken once a smaller share of the matches holds.",
        minimum=0.0,
        maximum=1.0,
    ),
    _structural(
        "frontend.name",
        _PIPELINE.frontend.name,
        "Feature detector and descriptor: sift, orb or akaze.",
    ),
    Declaration(
        "frontend.max_keypoints",
        _PIPELINE.frontend.max_keypoints,
        "Strongest keypoints kept in each view.",
        minimum=8,
        maximum=100_000,
    ),
    Declaration(
        "frontend.max_image_size",
        _PIPELINE.frontend.max_image_size,
        "Longest side in pixels that features are extracted at; 0: as received.",
        minimum=0,
        maximum=100_000,
    ),
    Declaration(
        "frontend.ratio",
        _PIPELINE.frontend.ratio,
        "Keep matches whose best / second-best distance is below this; 1.0: keep all.",
        minimum=0.01,
        maximum=1.0,
    ),
    Declaration(
        "frontend.mutual",
        _PIPELINE.frontend.mutual,
        "Keep only matches that are each other's nearest neighbours.",
    ),
    _structural(
        "network.weights",
        _PIPELINE.network.weights,
        "Path of a checkpoint (.safetensors or .pth); empty: the weights in the package.",
    ),
    _structural(
        "network.device",
        _PIPELINE.network.device,
        "auto (CUDA where there is one), cpu, cuda or cuda:N.",
    ),
    Declaration(
        "network.score_threshold",
        _PIPELINE.network.score_threshold,
        "A match with a higher score (logit) goes to the refinement of the pose.",
        minimum=-20.0,
        maximum=20.0,
    ),
    Declaration(
        "network.inlier_threshold",
        _PIPELINE.network.inlier_threshold,
        "A match is an inlier of the network below this squared symmetric epipolar distance, "
        "normalised coordinates.",
        minimum=1e-10,
        maximum=1.0,
    ),
    Declaration(
        "pose.refine",
        _PIPELINE.pose.refine,
        "Pose from the network's own weighted solution (none), or refined on its inliers.",
        choices=("none", "poselib", "magsac"),
    ),
    Declaration(
        "pose.threshold_px",
        _PIPELINE.pose.threshold_px,
        "Epipolar error of an inlier in refinement, pixels.",
        minimum=0.01,
        maximum=100.0,
    ),
    Declaration(
        "pose.min_inliers",
        _PIPELINE.pose.min_inliers,
        "Fewer inliers than this: status TOO_FEW_MATCHES.",
        minimum=8,
        maximum=100_000,
    ),
    Declaration(
        "pose.max_false_alarms",
        _PIPELINE.pose.max_false_alarms,
        "Expected number of motions with as many inliers by chance; above this: status "
        "TOO_FEW_MATCHES.",
        minimum=1e-30,
        maximum=1e6,
    ),
    Declaration(
        "pose.min_parallax_deg",
        _PIPELINE.pose.min_parallax_deg,
        "Median parallax below this: status DEGENERATE, degrees.",
        minimum=0.0,
        maximum=180.0,
    ),
    Declaration(
        "pose.seed",
        _PIPELINE.pose.seed,
        "Seed of the robust estimators; the same images give the same result.",
        minimum=0,
        maximum=2_147_483_647,
    ),
    Declaration(
        "publish.max_lines",
        500,
        "Matches drawn in ~/matches_image at most.",
        minimum=1,
        maximum=100_000,
    ),
    Declaration(
        "publish.marker_baseline",
        1.0,
        "Length that a translation of unknown scale gets in ~/markers, metres. For the eye only.",
        minimum=0.001,
        maximum=1000.0,
    ),
    Declaration(
        "publish.marker_max_depth",
        100.0,
        "Points in ~/markers farther away than so many baselines are left out.",
        minimum=1.0,
        maximum=1_000_000.0,
    ),
    _structural(
        "publish.diagnostics_period",
        1.0,
        "Seconds between two messages on /diagnostics.",
        minimum=0.1,
        maximum=60.0,
    ),
    _structural(
        "publish.no_input_warning",
        5.0,
        "Seconds without a complete set of messages before the node warns.",
        minimum=0.5,
        maximum=3600.0,
    ),
)

BY_NAME: Mapping[str, Declaration] = {one.name: one for one in DECLARATIONS}
