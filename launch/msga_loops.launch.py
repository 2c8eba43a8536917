"""Start the node `msga_loops`: `ros2 launch msga_ros msga_loops.launch.py --show-args`.

Arguments left empty keep what the parameter file says. Everything is checked before anything is
started, the folder of the map included; when the node ends, so does the launch (docs/launch.md).
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from msga_ros.node.launching import (
    LOG_LEVELS,
    SWITCH,
    SWITCHES,
    argument,
    check_calibration,
    managed_node,
    parameter_files,
    presets,
    set_fastdds_profile,
    share,
    value,
)

DEFAULTS = share() / "config" / "msga_loops.yaml"
# Topics that the node listens to, relative to its namespace: launch argument -> name in the node.
INPUTS = {
    "image": "image",
    "camera_info": "camera_info",
    "depth_image": "depth/image",
    "right_image": "right/image",
    "right_camera_info": "right/camera_info",
    "odom": "odom",
}
# Launch argument -> parameter, for those that are more than a topic.
PARAMETERS = {
    "odometry": "odometry.source",
    "odom_frame": "odometry.frame",
    "base_frame": "odometry.base_frame",
    "camera_in_base": "odometry.camera_in_base",
    "depth": "depth.use",
    "stereo": "stereo.use",
    "depth_transport": "depth.transport",
    "map_file": "map.file",
    "map_frame": "map.frame",
    "optimise": "loops.optimise",
    "tf": "publish.tf",
    "calibration": "calibration",
    "right_calibration": "right/calibration",
    "image_transport": "image_transport",
    "rectified": "rectified",
    "device": "network.device",
    "use_sim_time": "use_sim_time",
}
OF_SWITCHES = ("depth", "stereo", "optimise", "tf", "rectified", "use_sim_time")


def declare_arguments() -> list[DeclareLaunchArgument]:
    """All launch arguments, with their defaults; an empty one leaves the parameter file alone."""
    return [
        argument("namespace", "namespace of the node and its inputs"),
        *(argument(name, f"topic of the input {topic}", topic) for name, topic in INPUTS.items()),
        argument("params_file", "parameter file of the node", str(DEFAULTS)),
        argument(
            "preset",
            "named configuration: stands above the defaults and below a params_file of your own",
            "",
            *presets(),
        ),
        argument(
            "odometry",
            "topic: nav_msgs/Odometry on odom; tf: the transform odom_frame to base_frame; none",
            "",
            "topic",
            "tf",
            "none",
        ),
        argument("odom_frame", "frame of the odometry (with odometry:=tf)"),
        argument("base_frame", "frame that the odometry moves (with odometry:=tf)"),
        argument("camera_in_base", "place of the camera in base_frame; empty: from /tf_static"),
        argument("depth", "depth images give loops their length", "", *SWITCH),
        argument("stereo", "the right camera of a rig gives loops their length", "", *SWITCH),
        argument(
            "depth_transport",
            "how depth images come; compressedDepth: <depth_image topic>/compressedDepth",
            "",
            "raw",
            "compressedDepth",
        ),
        argument("map_file", "file of the map; empty: it lasts as long as the node"),
        argument("map_frame", "frame of the corrected poses"),
        argument("optimise", "keep a pose graph: corrected path, map to odom (GTSAM)", "", *SWITCH),
        argument("tf", "with optimise: publish the transform map to odom", "", *SWITCH),
        argument("calibration", "calibration file instead of camera_info, of a rig with both"),
        argument("right_calibration", "calibration file of the right camera"),
        argument(
            "image_transport",
            "how the images come; compressed: <image topic>/compressed",
            "",
            "raw",
            "compressed",
        ),
        argument("rectified", "the images are rectified: P of camera_info", "", *SWITCH),
        argument("device", "network device: auto, cpu, cuda or cuda:N"),
        argument("use_sim_time", "follow /clock (bags)", "", *SWITCH),
        argument(
            "log_level", "least severe log messages of the node that are shown", "info", *LOG_LEVELS
        ),
    ]


def start_node(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node with the arguments that were given. Raises before it is started."""

    def given(name: str) -> str:
        return value(context, name)

    files = parameter_files(given("params_file"), given("preset"), DEFAULTS)
    for name in ("calibration", "right_calibration"):
        check_calibration(name, given(name))
    folder = Path(given("map_file")).expanduser().parent
    if given("map_file") and not folder.is_dir():
        raise FileNotFoundError(f"map_file: there is no folder {folder}")
    overrides = {
        parameter: SWITCHES[given(name).lower()] if name in OF_SWITCHES else given(name)
        for name, parameter in PARAMETERS.items()
        if given(name)
    }
    return [managed_node("msga_loops", files, overrides, INPUTS, given)]


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return LaunchDescription(
        [
            *declare_arguments(),
            OpaqueFunction(function=set_fastdds_profile),
            OpaqueFunction(function=start_node),
        ]
    )
