"""Parameters of the node alone: mode, inputs, pairing, reference view."""

from __future__ import annotations

from msga_ros.configuration.parameter import Parameter, given_at_start
from msga_ros.geometry.depth import MILLIMETRE
from msga_ros.stream.calibrated_sets import AUTO, CAMERA_INFO_CHOICES
from msga_ros.stream.compressed_depth import TRANSPORT
from msga_ros.stream.message_set import INPUTS
from msga_ros.stream.reference_view import ReferencePolicy

_KEYFRAMES = ReferencePolicy()  # with its defaults

INPUT_PARAMETERS: tuple[Parameter, ...] = (
    given_at_start(
        "mode",
        "stereo",
        "Which views are compared: left and right of one instant (stereo), one camera over time "
        "(temporal), or over time in metres, with a depth image registered to each image (rgbd).",
        choices=tuple(INPUTS),
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
        "Calibration file instead of camera_info (docs/calibration.md): of the camera in modes "
        "temporal and rgbd, of the rig with left and right camera in mode stereo. FILE#NAME, or "
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
    given_at_start(
        "depth.transport",
        "raw",
        "Type of the depth images (mode rgbd): raw (sensor_msgs/Image, 16UC1 or 32FC1), or "
        f"{TRANSPORT} (sensor_msgs/CompressedImage with a PNG in it).",
        choices=("raw", TRANSPORT),
    ),
    given_at_start(
        "depth.unit",
        MILLIMETRE,
        "Metres that a unit of a depth image of integers (16UC1) stands for (mode rgbd).",
        unit="m",
        minimum=1e-6,
        maximum=1.0,
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
        "What a new frame is compared with (modes temporal and rgbd): the frame before, or a "
        "keyframe.",
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
)
