"""The table of the node's parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from msga_ros.configuration.parameter import Parameter, given_at_start
from msga_ros.frontend import FRONTENDS
from msga_ros.two_view.config import PipelineConfig, refinements
from msga_ros.two_view.sieves import SIEVES

ODOMETRY_FRAME = "msga_odom"

_PIPELINE = PipelineConfig()  # the defaults of its groups

PARAMETERS: tuple[Parameter, ...] = (
    given_at_start(
        "mode",
        "stereo",
        "Which views are compared: left and right of one instant (stereo), or one camera over time "
        "(temporal).",
        choices=("stereo", "temporal"),
    ),
    given_at_start("autostart", True, "Configure and activate the node by itself."),
    Parameter(
        "run",
        "subscribed",
        "Work on the images while somebody listens to an output or the odometry runs always "
        "(subscribed), or in any case (always). A node without a listener says so in the "
        "diagnostics; with the first one it begins without a reference view.",
        choices=("subscribed", "always"),
    ),
    given_at_start(
        "image_transport",
        "raw",
        "Type of the images: raw (sensor_msgs/Image) or compressed (sensor_msgs/CompressedImage).",
        choices=("raw", "compressed"),
    ),
    given_at_start(
        "rectified",
        False,
        "The images are rectified: use P of camera_info and no distortion, instead of K and D.",
    ),
    given_at_start(
        "max_image_pixels",
        50_000_000,
        "Images with more pixels are refused; compressed ones by their header, undecoded.",
        minimum=1,
        maximum=1_000_000_000,
    ),
    Parameter(
        "sync.slop",
        0.0,
        "Largest difference in seconds between the stamps of one set; 0: they must be equal.",
        minimum=0.0,
        maximum=1.0,
    ),
    given_at_start(
        "sync.queue_size",
        10,
        "Messages of each topic that wait for their partners.",
        minimum=1,
        maximum=1000,
    ),
    given_at_start(
        "sync.jump_back",
        0.5,
        "A stamp that lies so many seconds before the newest means that time has jumped back, and "
        "resets synchroniser and reference; one that is less old is late.",
        minimum=0.0,
        maximum=3600.0,
    ),
    Parameter(
        "temporal.reference",
        "previous",
        "What a new frame is compared with (mode temporal): the frame before, or a keyframe.",
        choices=("previous", "keyframe"),
    ),
    Parameter(
        "temporal.keyframe_max_parallax_deg",
        5.0,
        "A new keyframe is taken once the median parallax exceeds this, degrees.",
        minimum=0.0,
        maximum=180.0,
    ),
    Parameter(
        "temporal.keyframe_min_inliers",
        50,
        "A new keyframe is taken once fewer matches hold.",
        minimum=0,
        maximum=100_000,
    ),
    Parameter(
        "temporal.keyframe_min_inlier_ratio",
        0.1,
        "A new keyframe is taken once a smaller share of the matches holds.",
        minimum=0.0,
        maximum=1.0,
    ),
    given_at_start(
        "frontend.name",
        _PIPELINE.frontend.name,
        "Feature detector and descriptor.",
        choices=FRONTENDS.names(),
    ),
    Parameter(
        "frontend.max_keypoints",
        _PIPELINE.frontend.max_keypoints,
        "Strongest keypoints kept in each view.",
        minimum=8,
        maximum=100_000,
    ),
    Parameter(
        "frontend.max_image_size",
        _PIPELINE.frontend.max_image_size,
        "Longest side in pixels that features are extracted at; 0: as received.",
        minimum=0,
        maximum=100_000,
    ),
    Parameter(
        "frontend.ratio",
        _PIPELINE.frontend.ratio,
        "Keep matches whose best / second-best distance is below this; 1.0: keep all.",
        minimum=0.01,
        maximum=1.0,
    ),
    Parameter(
        "frontend.mutual",
        _PIPELINE.frontend.mutual,
        "Keep only matches that are each other's nearest neighbours.",
    ),
    Parameter(
        "frontend.max_matches",
        _PIPELINE.frontend.max_matches,
        "Of the matches that pass, keep so many with the smallest ratios: less work for the "
        "network and the pose. 0: all.",
        minimum=0,
        maximum=1_000_000,
    ),
    given_at_start(
        "sieve.name",
        _PIPELINE.sieve.name,
        "What tells true matches from false ones: msga, the network; or none: all matches go to "
        "the refinement of the pose.",
        choices=SIEVES.names(),
    ),
    given_at_start(
        "network.weights",
        _PIPELINE.network.weights,
        "Weights: a set in the package (msga_net, msga_net_lite, ...) or the path of a checkpoint "
        "(.safetensors, .pth, or .onnx of msga export); empty: msga_net on a GPU, msga_net_lite on "
        "a CPU.",
    ),
    given_at_start(
        "network.device",
        _PIPELINE.network.device,
        "auto (CUDA where there is one), cpu, cuda or cuda:N.",
    ),
    Parameter(
        "network.score_threshold",
        _PIPELINE.network.score_threshold,
        "A match with a higher score (logit) goes to the refinement of the pose.",
        minimum=-20.0,
        maximum=20.0,
    ),
    Parameter(
        "network.inlier_threshold",
        _PIPELINE.network.inlier_threshold,
        "A match is an inlier of the network below this squared symmetric epipolar distance, "
        "normalised coordinates.",
        minimum=1e-10,
        maximum=1.0,
    ),
    Parameter(
        "pose.refine",
        _PIPELINE.pose.refine,
        "Pose from the network's own weighted solution (none), or from its best matches: graduated "
        "(no random sampling), poselib or magsac (RANSAC).",
        choices=refinements(),
    ),
    Parameter(
        "pose.threshold_px",
        _PIPELINE.pose.threshold_px,
        "Epipolar error of an inlier in refinement, pixels.",
        minimum=0.01,
        maximum=100.0,
    ),
    Parameter(
        "pose.min_inliers",
        _PIPELINE.pose.min_inliers,
        "Fewer inliers than this: status TOO_FEW_MATCHES.",
        minimum=8,
        maximum=100_000,
    ),
    Parameter(
        "pose.max_false_alarms",
        _PIPELINE.pose.max_false_alarms,
        "Expected number of motions with as many inliers by chance; above this: status "
        "TOO_FEW_MATCHES.",
        minimum=1e-30,
        maximum=1e6,
    ),
    Parameter(
        "pose.min_parallax_deg",
        _PIPELINE.pose.min_parallax_deg,
        "Median parallax below this: status DEGENERATE, degrees.",
        minimum=0.0,
        maximum=180.0,
    ),
    Parameter(
        "pose.min_lead",
        _PIPELINE.pose.min_lead,
        "By how many standard errors the motion must explain the matches better than any other; "
        "less: status DEGENERATE. 0: do not look for another.",
        minimum=0.0,
        maximum=100.0,
    ),
    Parameter(
        "pose.confidence",
        _PIPELINE.pose.confidence,
        "poselib and magsac stop sampling once a better motion is less likely than one minus this.",
        minimum=0.01,
        maximum=0.9999999,
    ),
    Parameter(
        "pose.max_iterations",
        _PIPELINE.pose.max_iterations,
        "Random samples of poselib and magsac at most; fewer bound the time of a hopeless pair.",
        minimum=1,
        maximum=10_000_000,
    ),
    Parameter(
        "pose.seed",
        _PIPELINE.pose.seed,
        "Seed of the random samples; the same images give the same result.",
        minimum=0,
        maximum=2_147_483_647,
    ),
    Parameter(
        "odometry.run",
        "subscribed",
        "Stereo odometry (~/odometry, ~/path, ~/temporal_pose, tf, and track ids that persist): "
        "while somebody listens to one of those or to ~/correspondences (subscribed), always, or "
        "never. It matches and filters a second pair of images, and takes about as long as the "
        "first. What starts anew starts at the origin.",
        choices=("subscribed", "always", "never"),
    ),
    given_at_start(
        "odometry.frame",
        ODOMETRY_FRAME,
        "Frame of the odometry: the left optical frame of the first image of a session.",
    ),
    Parameter(
        "odometry.path_spacing",
        0.1,
        "Metres between two poses in ~/path; doubled whenever the path is full.",
        minimum=0.0,
        maximum=1000.0,
    ),
    Parameter(
        "odometry.path_length",
        500,
        "Poses in ~/path at most; where there are more, every second one is left out.",
        minimum=2,
        maximum=100_000,
    ),
    Parameter(
        "rig.tolerance_px",
        2.0,
        "The diagnostics warn once the matches say that the right camera has turned against its "
        "calibration so far that points in its image move by more than this, pixels.",
        minimum=0.1,
        maximum=1000.0,
    ),
    Parameter(
        "publish.max_lines",
        500,
        "Matches drawn in ~/matches_image at most.",
        minimum=1,
        maximum=100_000,
    ),
    Parameter(
        "publish.marker_baseline",
        1.0,
        "Length that a translation of unknown scale gets in ~/markers, metres. For the eye only.",
        minimum=0.001,
        maximum=1000.0,
    ),
    Parameter(
        "publish.marker_max_depth",
        100.0,
        "Points in ~/markers farther away than so many baselines are left out.",
        minimum=1.0,
        maximum=1_000_000.0,
    ),
    given_at_start(
        "publish.tf",
        False,
        "Publish the odometry as a transform, from odometry.frame to the left optical frame (mode "
        "stereo; where tf2_msgs is installed).",
    ),
    given_at_start(
        "publish.tf_inverted",
        False,
        "The transform the other way round, for a camera whose frame has another parent: the left "
        "optical frame becomes the parent of odometry.frame.",
    ),
    given_at_start(
        "publish.diagnostics_period",
        1.0,
        "Seconds between two messages on /diagnostics.",
        minimum=0.1,
        maximum=60.0,
    ),
    given_at_start(
        "publish.no_input_warning",
        5.0,
        "Seconds without a complete set of messages before the node warns.",
        minimum=0.5,
        maximum=3600.0,
    ),
)

BY_NAME: Mapping[str, Parameter] = {one.name: one for one in PARAMETERS}


def own_parameters(values: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The settings that the front end and the sieve of `values` have of their own.

    Raises `FrontendError` or `SieveError` for a name that there is not.
    """
    found: list[Parameter] = []
    for group, registry in (("frontend", FRONTENDS), ("sieve", SIEVES)):
        name = values.get(f"{group}.name", BY_NAME[f"{group}.name"].default)
        kind = getattr(registry.load(name), "Config", None)
        for field in () if kind is None else dataclasses.fields(kind):
            text = field.metadata.get("description", f"Of the {registry.kind} {name}.")
            default: Any = field.default
            found.append(Parameter(f"{group}.{name}.{field.name}", default, text))
    return tuple(found)
