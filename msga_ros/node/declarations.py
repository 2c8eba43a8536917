"""The table of the node's parameters. No ROS in it."""

from __future__ import annotations

from collections.abc import Mapping

from msga_ros.config import REFINEMENTS, PipelineConfig
from msga_ros.node.declaration import Declaration, structural

ODOMETRY_FRAME = "msga_odom"

_PIPELINE = PipelineConfig()  # the defaults of its groups

DECLARATIONS: tuple[Declaration, ...] = (
    structural(
        "mode",
        "stereo",
        "Which views are compared: left and right of one instant (stereo), or one camera over time "
        "(temporal).",
        choices=("stereo", "temporal"),
    ),
    structural("autostart", True, "Configure and activate the node by itself."),
    structural(
        "image_transport",
        "raw",
        "Type of the images: raw (sensor_msgs/Image) or compressed (sensor_msgs/CompressedImage).",
        choices=("raw", "compressed"),
    ),
    structural(
        "rectified",
        False,
        "The images are rectified: use P of camera_info and no distortion, instead of K and D.",
    ),
    structural(
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
    structural(
        "sync.queue_size",
        10,
        "Messages of each topic that wait for their partners.",
        minimum=1,
        maximum=1000,
    ),
    structural(
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
    structural(
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
    Declaration(
        "frontend.max_matches",
        _PIPELINE.frontend.max_matches,
        "Of the matches that pass, keep so many with the smallest ratios: less work for the "
        "network and the pose. 0: all.",
        minimum=0,
        maximum=1_000_000,
    ),
    structural(
        "network.weights",
        _PIPELINE.network.weights,
        "Weights: a set in the package (msga_net, msga_net_lite, ...) or the path of a checkpoint "
        "(.safetensors, .pth, or .onnx of msga export); empty: msga_net on a GPU, msga_net_lite on "
        "a CPU.",
    ),
    structural(
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
        "Pose from the network's own weighted solution (none), or from its best matches: graduated "
        "(no random sampling), poselib or magsac (RANSAC).",
        choices=REFINEMENTS,
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
        "pose.min_lead",
        _PIPELINE.pose.min_lead,
        "By how many standard errors the motion must explain the matches better than any other; "
        "less: status DEGENERATE. 0: do not look for another.",
        minimum=0.0,
        maximum=100.0,
    ),
    Declaration(
        "pose.confidence",
        _PIPELINE.pose.confidence,
        "poselib and magsac stop sampling once a better motion is less likely than one minus this.",
        minimum=0.01,
        maximum=0.9999999,
    ),
    Declaration(
        "pose.max_iterations",
        _PIPELINE.pose.max_iterations,
        "Random samples of poselib and magsac at most; fewer bound the time of a hopeless pair.",
        minimum=1,
        maximum=10_000_000,
    ),
    Declaration(
        "pose.seed",
        _PIPELINE.pose.seed,
        "Seed of the random samples; the same images give the same result.",
        minimum=0,
        maximum=2_147_483_647,
    ),
    Declaration(
        "odometry.run",
        "subscribed",
        "Stereo odometry (~/odometry, ~/path, ~/temporal_pose, tf, and track ids that persist): "
        "while somebody listens to one of those or to ~/correspondences (subscribed), always, or "
        "never. It matches and filters a second pair of images, and takes about as long as the "
        "first. What starts anew starts at the origin.",
        choices=("subscribed", "always", "never"),
    ),
    structural(
        "odometry.frame",
        ODOMETRY_FRAME,
        "Frame of the odometry: the left optical frame of the first image of a session.",
    ),
    Declaration(
        "odometry.path_spacing",
        0.1,
        "Metres between two poses in ~/path; doubled whenever the path is full.",
        minimum=0.0,
        maximum=1000.0,
    ),
    Declaration(
        "odometry.path_length",
        500,
        "Poses in ~/path at most; where there are more, every second one is left out.",
        minimum=2,
        maximum=100_000,
    ),
    Declaration(
        "rig.tolerance_px",
        2.0,
        "The diagnostics warn once the matches say that the right camera has turned against its "
        "calibration so far that points in its image move by more than this, pixels.",
        minimum=0.1,
        maximum=1000.0,
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
    structural(
        "publish.tf",
        False,
        "Publish the odometry as a transform, from odometry.frame to the left optical frame (mode "
        "stereo; where tf2_msgs is installed).",
    ),
    structural(
        "publish.tf_inverted",
        False,
        "The transform the other way round, for a camera whose frame has another parent: the left "
        "optical frame becomes the parent of odometry.frame.",
    ),
    structural(
        "publish.diagnostics_period",
        1.0,
        "Seconds between two messages on /diagnostics.",
        minimum=0.1,
        maximum=60.0,
    ),
    structural(
        "publish.no_input_warning",
        5.0,
        "Seconds without a complete set of messages before the node warns.",
        minimum=0.5,
        maximum=3600.0,
    ),
)

BY_NAME: Mapping[str, Declaration] = {one.name: one for one in DECLARATIONS}
