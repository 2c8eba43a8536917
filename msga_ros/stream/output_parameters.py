"""Parameters of the node alone: odometry as it is published, requests, outputs."""

from __future__ import annotations

from msga_ros.configuration.parameter import Parameter, given_at_start
from msga_ros.stream.robot_settings import ODOMETRY_FRAME

ODOMETRY_PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "odometry.run",
        "subscribed",
        "Odometry of modes stereo and rgbd (~/odometry, ~/path, ~/temporal_pose, tf, and of stereo "
        "track ids that persist): while somebody listens to one of those or, of stereo, to "
        "~/correspondences (subscribed), always, or never. It matches and filters a second pair of "
        "images, and takes about as long as the first. What starts anew starts at the origin.",
        choices=("subscribed", "always", "never"),
    ),
    given_at_start(
        "odometry.frame",
        "",
        "Frame that the odometry is published in; empty: odom where odometry.base_frame is given, "
        f"else {ODOMETRY_FRAME}. It is where camera or robot were at the first image of a session.",
    ),
    given_at_start(
        "odometry.base_frame",
        "",
        "Frame of the robot (base_link) that ~/odometry, ~/path and tf shall move, with its axes; "
        "the camera's place on it comes from /tf_static or odometry.camera_in_base. Empty: they "
        "move the left optical frame.",
    ),
    given_at_start(
        "odometry.camera_in_base",
        "",
        "Place of the left optical frame in odometry.base_frame: x y z roll pitch yaw (as an "
        "origin in a URDF) or x y z qx qy qz qw; m, rad. Empty: from /tf_static.",
    ),
    Parameter(
        "odometry.max_sigma_m",
        5.0,
        "The diagnostics warn once the standard deviation of the position exceeds this; 0: never.",
        unit="m",
        minimum=0.0,
        maximum=1_000_000.0,
    ),
    Parameter(
        "odometry.max_sigma_deg",
        10.0,
        "The diagnostics warn once the standard deviation of the rotation exceeds this; 0: never.",
        unit="deg",
        minimum=0.0,
        maximum=1_000_000.0,
    ),
    Parameter(
        "odometry.path_spacing",
        0.1,
        "Distance of two poses in ~/path; doubled whenever the path is full.",
        unit="m",
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
)

OUTPUT_PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "rig.tolerance_px",
        2.0,
        "The diagnostics warn once the matches say that the right camera has turned against its "
        "calibration so far that points in its image move by more than this.",
        unit="px",
        minimum=0.1,
        maximum=1000.0,
    ),
    given_at_start(
        "requests.queue_size",
        8,
        "Requests to ~/relate_images, ~/relate_features and ~/filter_matches that wait at most; "
        "one more is answered with QUEUE_FULL.",
        minimum=1,
        maximum=1000,
    ),
    Parameter(
        "requests.timeout",
        5.0,
        "A request that has no time limit of its own is answered with DEADLINE_PASSED where its "
        "turn comes later than that.",
        unit="s",
        minimum=0.01,
        maximum=3600.0,
    ),
    Parameter(
        "requests.max_points",
        10_000,
        "Requests with more keypoints in a view, or more matches, are refused. A step of the work "
        "on one holds up a frame of the live stream, and takes the longer the more there are.",
        minimum=8,
        maximum=1_000_000,
    ),
    given_at_start(
        "requests.features_in",
        False,
        "Take pairs of features on ~/features/in as well, the newest one; results go to the usual "
        "outputs.",
    ),
    given_at_start(
        "requests.matches_in",
        False,
        "Take finished matches on ~/matches/in as well, the newest ones; results go to the usual "
        "outputs.",
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
        "Length that a translation of unknown scale gets in ~/markers. For the eye only.",
        unit="m",
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
        "Publish the odometry as a transform, from odometry.frame to odometry.base_frame or, "
        "without it, the left optical frame (modes stereo and rgbd; where tf2_msgs is installed, "
        "and unless that frame has another parent).",
    ),
    given_at_start(
        "publish.tf_inverted",
        False,
        "The transform the other way round, for a frame that has another parent: it becomes the "
        "parent of odometry.frame.",
    ),
    given_at_start(
        "publish.diagnostics_period",
        1.0,
        "Time between two messages on /diagnostics.",
        unit="s",
        minimum=0.1,
        maximum=60.0,
    ),
    given_at_start(
        "publish.no_input_warning",
        5.0,
        "Time without a complete set of messages before the node warns.",
        unit="s",
        minimum=0.5,
        maximum=3600.0,
    ),
)
