"""The table of the parameters of the node `msga_loops`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from msga_ros.configuration.parameter import GIVEN_AT_START, Parameter, given_at_start
from msga_ros.configuration.setting import parameters_of
from msga_ros.frontend.config import FrontendConfig
from msga_ros.loops.config import LoopConfig
from msga_ros.stream.parameter_table import BY_NAME
from msga_ros.two_view.config import PoseConfig, SieveConfig
from msga_ros.two_view.sieves.msga import NetworkConfig

TOPIC, TF, NONE = "topic", "tf", "none"


def _shared(*names: str) -> tuple[Parameter, ...]:
    """Parameters that are those of the node `msga`."""
    return tuple(BY_NAME[name] for name in names)


def _at_start(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """The same, none of which may change while the node runs."""
    return tuple(
        one
        if one.read_only
        else dataclasses.replace(
            one, read_only=True, description=f"{one.description} {GIVEN_AT_START}"
        )
        for one in parameters
    )


_MAP = (
    given_at_start(
        "map.file",
        "",
        "File of the map: what lies in it is searched, and every keyframe is added to it. Empty: "
        "the map lasts as long as the node is configured.",
    ),
    given_at_start(
        "map.frame", "map", "Frame of the corrected poses, ~/path, ~/loops and ~/locate."
    ),
    given_at_start(
        "map.in_memory",
        200,
        "Keyframes whose features are kept in memory; the others are read from the file.",
        minimum=1,
        maximum=1_000_000,
    ),
)

_IMAGES = (
    given_at_start(
        "images.queue_size",
        10,
        "Images that wait for the work at most; of more, the oldest is dropped. Images closer "
        "together than half a keyframe distance do not wait.",
        minimum=1,
        maximum=1000,
    ),
    given_at_start(
        "images.interval",
        1.0,
        "Time between two images that are looked at, where there is no odometry to tell them apart "
        "(odometry.source none).",
        unit="s",
        minimum=0.0,
        maximum=3600.0,
    ),
)

_DEPTH = (
    given_at_start(
        "depth.use",
        False,
        "A depth image registered to each image comes on depth/image, and gives loops their length "
        "in the place of the odometry.",
    ),
    *_shared("depth.transport", "depth.unit"),
)

_STEREO = (
    given_at_start(
        "stereo.use",
        False,
        "The right camera of a calibrated rig comes on right/image and right/camera_info with each "
        "image, and gives loops their length in the place of the odometry.",
    ),
)

_ODOMETRY = (
    given_at_start(
        "odometry.source",
        TOPIC,
        "Where the odometry is from: nav_msgs/Odometry on the topic odom (topic), the transform "
        "from odometry.frame to odometry.base_frame (tf), or nowhere (none): then loops have no "
        "length, and the map no poses.",
        choices=(TOPIC, TF, NONE),
    ),
    given_at_start(
        "odometry.frame",
        "odom",
        "Source tf: parent of the transform that is the odometry. With a topic its header says it.",
    ),
    given_at_start(
        "odometry.base_frame",
        "base_link",
        "Source tf: child of the transform that is the odometry. With a topic its child_frame_id "
        "says it; this one counts where that is empty or the frame of the pose itself.",
    ),
    given_at_start(
        "odometry.camera_in_base",
        "",
        "Place of the optical frame of the camera in the frame that the odometry moves: x y z roll "
        "pitch yaw (as an origin in a URDF) or x y z qx qy qz qw; m, rad. Empty: from /tf_static.",
    ),
    given_at_start(
        "odometry.patience",
        2.0,
        "Time that an image waits for the odometry of its stamp, before it is refused.",
        unit="s",
        minimum=0.0,
        maximum=60.0,
    ),
    given_at_start(
        "odometry.max_gap",
        0.5,
        "Between two poses of the odometry farther apart than this nothing is interpolated.",
        unit="s",
        minimum=0.001,
        maximum=60.0,
    ),
)

_PUBLISH = (
    given_at_start(
        "publish.tf",
        True,
        "With loops.optimise: publish the transform from map.frame to the frame of the odometry "
        "(where tf2_msgs is installed, and unless that frame has another parent).",
    ),
    given_at_start(
        "publish.tf_tolerance",
        0.1,
        "The transform from the map is dated so much later than the odometry that it comes with.",
        unit="s",
        minimum=0.0,
        maximum=10.0,
    ),
)

LOOP_PARAMETERS: tuple[Parameter, ...] = (
    *_shared("autostart", "image_transport", "rectified", "max_image_pixels"),
    given_at_start(
        "calibration",
        "",
        "Calibration file of the camera instead of camera_info (docs/calibration.md); FILE#NAME "
        "where there are more cameras in it; with stereo.use a file of the rig, or of the left "
        "camera. Empty: camera_info.",
    ),
    given_at_start(
        "right/calibration",
        "",
        "Likewise of the right camera (stereo.use), where calibration is that of the left alone.",
    ),
    *_shared("sync.slop", "sync.camera_info", "sync.queue_size", "sync.jump_back"),
    *_IMAGES,
    *_DEPTH,
    *_STEREO,
    *_ODOMETRY,
    *_MAP,
    *_at_start(parameters_of(LoopConfig, "loops")),
    *parameters_of(FrontendConfig, "frontend"),
    *parameters_of(SieveConfig, "sieve"),
    *parameters_of(NetworkConfig, "network"),
    *parameters_of(PoseConfig, "pose"),
    *_shared("requests.queue_size", "requests.timeout"),
    *_PUBLISH,
    *_shared("publish.diagnostics_period", "publish.no_input_warning"),
)
