"""The table of the node's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msga_ros.configuration.parameter import Parameter, given_at_start
from msga_ros.configuration.setting import parameters_of
from msga_ros.frontend import FRONTENDS
from msga_ros.frontend.config import FrontendConfig
from msga_ros.odometry.config import OdometryConfig
from msga_ros.stream.calibrated_sets import AUTO, CAMERA_INFO_CHOICES
from msga_ros.stream.reference_view import ReferencePolicy
from msga_ros.stream.robot_settings import ODOMETRY_FRAME
from msga_ros.two_view.config import PoseConfig, SieveConfig
from msga_ros.two_view.sieves import AUTOMATIC, SIEVES
from msga_ros.two_view.sieves.msga import NetworkConfig

_KEYFRAMES = ReferencePolicy()  # with its defaults

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
        unit="px",
        minimum=1,
        maximum=1_000_000_000,
    ),
    given_at_start(
        "calibration",
        "",
        "Calibration file instead of camera_info (docs/calibration.md): of the camera in mode "
        "temporal, of the rig with left and right camera in mode stereo. FILE#NAME, or "
        "FILE#LEFT,RIGHT, where there are more cameras in it. Empty: camera_info.",
    ),
    given_at_start(
        "left/calibration",
        "",
        "Calibration file of the left camera (mode stereo). Empty: calibration, or camera_info.",
    ),
    given_at_start(
        "right/calibration",
        "",
        "Calibration file of the right camera (mode stereo). Empty: calibration, or camera_info.",
    ),
    Parameter(
        "sync.slop",
        0.0,
        "Largest difference between the stamps of one set; 0: they must be equal.",
        unit="s",
        minimum=0.0,
        maximum=1.0,
    ),
    given_at_start(
        "sync.camera_info",
        AUTO,
        "Which camera_info belongs to an image: the one with its stamp where it comes, the last "
        "one otherwise (auto), only the one with its stamp (equal), or the last one received "
        "(last). A camera_info that is published once or latched is the last one.",
        choices=CAMERA_INFO_CHOICES,
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
        "A stamp that lies so much before the newest means that time has jumped back, and "
        "resets synchroniser and reference; one that is less old is late.",
        unit="s",
        minimum=0.0,
        maximum=3600.0,
    ),
    Parameter(
        "temporal.reference",
        _KEYFRAMES.kind,
        "What a new frame is compared with (mode temporal): the frame before, or a keyframe.",
        choices=("previous", "keyframe"),
    ),
    Parameter(
        "temporal.keyframe_max_parallax_deg",
        _KEYFRAMES.max_parallax_deg,
        "A new keyframe is taken once the median parallax exceeds this.",
        unit="deg",
        minimum=0.0,
        maximum=180.0,
    ),
    Parameter(
        "temporal.keyframe_min_inliers",
        _KEYFRAMES.min_inliers,
        "A new keyframe is taken once fewer matches hold.",
        minimum=0,
        maximum=100_000,
    ),
    Parameter(
        "temporal.keyframe_min_inlier_ratio",
        _KEYFRAMES.min_inlier_ratio,
        "A new keyframe is taken once a smaller share of the matches holds.",
        minimum=0.0,
        maximum=1.0,
    ),
    *parameters_of(FrontendConfig, "frontend"),
    *parameters_of(SieveConfig, "sieve"),
    *parameters_of(NetworkConfig, "network"),
    *parameters_of(PoseConfig, "pose"),
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
    *parameters_of(OdometryConfig, "odometry"),
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
        "without it, the left optical frame (mode stereo; where tf2_msgs is installed, and unless "
        "that frame has another parent).",
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

BY_NAME: Mapping[str, Parameter] = {one.name: one for one in PARAMETERS}


def own_parameters(values: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The settings that the front end and the sieve of `values` have of their own.

    A sieve that is not chosen by name has its defaults. Raises `FrontendError` or `SieveError` for
    a name that there is not.
    """
    found: list[Parameter] = []
    for group, registry in (("frontend", FRONTENDS), ("sieve", SIEVES)):
        name = values.get(f"{group}.name", BY_NAME[f"{group}.name"].default)
        if (group, name) == ("sieve", AUTOMATIC):
            continue
        kind = getattr(registry.load(name), "Config", None)
        if kind is not None:
            text = f"Of the {registry.kind} {name}."
            found += parameters_of(kind, f"{group}.{name}", text)
    return tuple(found)
