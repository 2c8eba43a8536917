"""Start the node `msga`, and RViz if asked: `ros2 launch msga_ros msga.launch.py --show-args`.

Arguments left empty keep what the parameter file says. Sets the Fast DDS profile for big images
(config/fastdds.xml) for what it starts, unless a profile is set in the environment already.

Everything is checked before anything is started. When the node ends, so does the launch and what
else it started. The node is written in Python and cannot be loaded into a `component_container`,
which loads C++ components alone: it is a process of its own (docs/launch.md).
"""

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

from msga_ros.node.launching import (
    LOG_LEVELS,
    SWITCH,
    SWITCHES,
    argument,
    check_calibration,
    existing_file,
    full_name,
    managed_node,
    parameter_files,
    presets,
    set_fastdds_profile,
    share,
    value,
)

SHARE = share()
# Topics that the node listens to, relative to its namespace: launch argument -> name in the node.
INPUTS = {
    "left_image": "left/image",
    "left_camera_info": "left/camera_info",
    "right_image": "right/image",
    "right_camera_info": "right/camera_info",
    "image": "image",
    "camera_info": "camera_info",
    "depth_image": "depth/image",
}
OUTPUTS = ("matches_image", "markers", "path", "odometry")
# Launch argument -> parameter, for those that are more than a topic.
PARAMETERS = {
    "mode": "mode",
    "device": "network.device",
    "image_transport": "image_transport",
    "depth_transport": "depth.transport",
    "rectified": "rectified",
    "slop": "sync.slop",
    "calibration": "calibration",
    "left_calibration": "left/calibration",
    "right_calibration": "right/calibration",
    "tf": "publish.tf",
    "base_frame": "odometry.base_frame",
    "camera_in_base": "odometry.camera_in_base",
    "odom_frame": "odometry.frame",
    "use_sim_time": "use_sim_time",
}
CALIBRATIONS = ("calibration", "left_calibration", "right_calibration")


def declare_arguments() -> list[DeclareLaunchArgument]:
    """All launch arguments, with their defaults; an empty one leaves the parameter file alone."""

    return [
        argument(
            "mode",
            "stereo: left and right image; temporal: one camera over time; rgbd: with depth images",
            "",
            "stereo",
            "temporal",
            "rgbd",
        ),
        argument("namespace", "namespace of the node and its inputs"),
        *(argument(name, f"topic of the input {topic}", topic) for name, topic in INPUTS.items()),
        argument("params_file", "parameter file of the node", str(SHARE / "config" / "msga.yaml")),
        argument(
            "preset",
            "named configuration: stands above the defaults and below a params_file of your own",
            "",
            *presets(),
        ),
        argument("device", "network device: auto, cpu, cuda or cuda:N"),
        argument(
            "image_transport",
            "how the images come; compressed: <image topic>/compressed",
            "",
            "raw",
            "compressed",
        ),
        argument(
            "depth_transport",
            "how depth images come; compressedDepth: <depth_image topic>/compressedDepth",
            "",
            "raw",
            "compressedDepth",
        ),
        argument(
            "rectified", "the images are rectified: P of camera_info, not K and D", "", *SWITCH
        ),
        argument(
            "calibration", "calibration file instead of camera_info; stereo: of the whole rig"
        ),
        argument("left_calibration", "calibration file of the left camera"),
        argument("right_calibration", "calibration file of the right camera"),
        argument("slop", "largest difference of the stamps of one set, seconds; 0: equal stamps"),
        argument(
            "input_reliability",
            "QoS that the inputs are subscribed with; empty: best_effort, which hears everybody",
            "",
            "best_effort",
            "reliable",
        ),
        argument("tf", "publish the odometry as a transform (modes stereo, rgbd)", "", *SWITCH),
        argument("base_frame", "frame of the robot that the odometry moves; empty: left camera"),
        argument(
            "camera_in_base", "place of the left camera in base_frame; empty: from /tf_static"
        ),
        argument(
            "odom_frame", "frame of the odometry; empty: odom with base_frame, else msga_odom"
        ),
        argument("use_sim_time", "follow /clock (bags)", "", *SWITCH),
        argument(
            "log_level",
            "least severe log messages of the node that are shown; debug: a line for every set",
            "info",
            *LOG_LEVELS,
        ),
        argument("rviz", "start RViz beside the node", "false", "true"),
        argument("rviz_config", "configuration file of RViz", str(SHARE / "config" / "msga.rviz")),
        argument(
            "fixed_frame",
            "fixed frame of RViz; empty: that of the first output, which is the frame of the "
            "images or, with publish.tf, that of the odometry",
        ),
    ]


def start_nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node with the arguments that were given, and RViz. Raises before anything is started."""

    def given(name: str) -> str:
        return value(context, name)

    defaults = SHARE / "config" / "msga.yaml"
    files = parameter_files(given("params_file"), given("preset"), defaults)
    for name in CALIBRATIONS:
        check_calibration(name, given(name))
    texts = {parameter: given(name) for name, parameter in PARAMETERS.items()}
    overrides = {name: parsed(name, text) for name, text in texts.items() if text}
    namespace = given("namespace").strip("/")
    reliability = given("input_reliability")
    if reliability:
        for name in INPUTS:
            transport = "compressedDepth" if name == "depth_image" else "compressed"
            for topic in resolved(namespace, given(name), transport):
                overrides[f"qos_overrides.{topic}.subscription.reliability"] = reliability
    node = managed_node("msga", files, overrides, INPUTS, given)
    if given("rviz") == "false":
        return [node]
    return [rviz(namespace, given("rviz_config"), given("fixed_frame")), node]


def rviz(namespace: str, config: str, fixed_frame: str) -> Node:
    """RViz, once the node has said in which frame its outputs lie. Raises where there is none."""
    configuration = existing_file("rviz_config", config)
    try:
        program = Path(get_package_prefix("rviz2")) / "lib" / "rviz2" / "rviz2"
    except PackageNotFoundError:
        raise RuntimeError(
            "rviz:=true, but rviz2 is not installed (sudo apt install ros-$ROS_DISTRO-rviz2)"
        ) from None
    name = f"/{namespace}/msga" if namespace else "/msga"
    frame = ["--frame", fixed_frame] if fixed_frame else []
    return Node(
        package="msga_ros",
        executable="msga_rviz",
        name="msga_rviz",
        namespace=namespace,
        arguments=["--node", name, *frame, "--", str(program), "-d", str(configuration)],
        remappings=[(f"/msga/{one}", f"{name}/{one}") for one in OUTPUTS],
        output="log",
    )


def parsed(parameter: str, text: str) -> bool | float | str:
    """The value of a parameter; raises `ValueError` for a text that is none."""
    if parameter in ("publish.tf", "rectified", "use_sim_time"):
        return SWITCHES[text.lower()]
    if parameter != "sync.slop":
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"slop: seconds, not {text!r}") from None


def resolved(namespace: str, topic: str, transport: str) -> list[str]:
    """Full names that the input `topic` may have: raw, and by a `transport` of images."""
    full = full_name(namespace, topic)
    return [full, f"{full}/{transport}"]


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return LaunchDescription(
        [
            *declare_arguments(),
            OpaqueFunction(function=set_fastdds_profile),
            OpaqueFunction(function=start_nodes),
        ]
    )
