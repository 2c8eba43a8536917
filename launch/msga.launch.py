"""Start the node `msga`, and RViz if asked: `ros2 launch msga_ros msga.launch.py --show-args`.

Arguments left empty keep what the parameter file says. Sets the Fast DDS profile for big images
(config/fastdds.xml) for what it starts, unless a profile is set in the environment already.

Everything is checked before anything is started. When the node ends, so does the launch and what
else it started. The node is written in Python and cannot be loaded into a `component_container`,
which loads C++ components alone: it is a process of its own (docs/launch.md).
"""

from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("msga_ros"))
# The first is read by Fast DDS 2 (Humble, Jazzy), the second by Fast DDS 3 (Kilted).
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
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
SWITCHES = {"true": True, "1": True, "false": False, "0": False}


def declare_arguments() -> list[DeclareLaunchArgument]:
    """All launch arguments, with their defaults; an empty one leaves the parameter file alone."""

    def choose(name: str, description: str, default: str = "", *choices: str) -> object:
        listed = {"choices": [default, *choices]} if choices else {}
        return DeclareLaunchArgument(name, default_value=default, description=description, **listed)

    switch = ("true", "false")
    return [
        choose(
            "mode",
            "stereo: left and right image; temporal: one camera over time; rgbd: with depth images",
            "",
            "stereo",
            "temporal",
            "rgbd",
        ),
        choose("namespace", "namespace of the node and its inputs"),
        *(choose(name, f"topic of the input {topic}", topic) for name, topic in INPUTS.items()),
        choose("params_file", "parameter file of the node", str(SHARE / "config" / "msga.yaml")),
        choose(
            "preset",
            "named configuration: stands above the defaults and below a params_file of your own",
            "",
            *sorted(path.stem for path in (SHARE / "presets").glob("*.yaml")),
        ),
        choose("device", "network device: auto, cpu, cuda or cuda:N"),
        choose(
            "image_transport",
            "how the images come; compressed: <image topic>/compressed",
            "",
            "raw",
            "compressed",
        ),
        choose(
            "depth_transport",
            "how depth images come; compressedDepth: <depth_image topic>/compressedDepth",
            "",
            "raw",
            "compressedDepth",
        ),
        choose("rectified", "the images are rectified: P of camera_info, not K and D", "", *switch),
        choose("calibration", "calibration file instead of camera_info; stereo: of the whole rig"),
        choose("left_calibration", "calibration file of the left camera"),
        choose("right_calibration", "calibration file of the right camera"),
        choose("slop", "largest difference of the stamps of one set, seconds; 0: equal stamps"),
        choose(
            "input_reliability",
            "QoS that the inputs are subscribed with; empty: best_effort, which hears everybody",
            "",
            "best_effort",
            "reliable",
        ),
        choose("tf", "publish the odometry as a transform (modes stereo, rgbd)", "", *switch),
        choose("base_frame", "frame of the robot that the odometry moves; empty: left camera"),
        choose("camera_in_base", "place of the left camera in base_frame; empty: from /tf_static"),
        choose("odom_frame", "frame of the odometry; empty: odom with base_frame, else msga_odom"),
        choose("use_sim_time", "follow /clock (bags)", "", *switch),
        choose(
            "log_level",
            "least severe log messages of the node that are shown; debug: a line for every set",
            "info",
            "debug",
            "warn",
            "error",
            "fatal",
        ),
        choose("rviz", "start RViz beside the node", "false", "true"),
        choose("rviz_config", "configuration file of RViz", str(SHARE / "config" / "msga.rviz")),
        choose(
            "fixed_frame",
            "fixed frame of RViz; empty: that of the first output, which is the frame of the "
            "images or, with publish.tf, that of the odometry",
        ),
    ]


def set_fastdds_profile(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Both variables, unless the user has set one of them."""
    if any(context.environment.get(name) for name in PROFILE_VARIABLES):
        return []
    profile = str(SHARE / "config" / "fastdds.xml")
    return [SetEnvironmentVariable(name, profile) for name in PROFILE_VARIABLES]


def start_nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node with the arguments that were given, and RViz. Raises before anything is started."""

    def value(argument: str) -> str:
        return LaunchConfiguration(argument).perform(context).strip()

    params_file = _file("params_file", value("params_file"))
    files = [str(params_file)]
    if value("preset"):
        defaults = SHARE / "config" / "msga.yaml"
        own = [] if params_file.samefile(defaults) else files
        files = [str(defaults), str(SHARE / "presets" / f"{value('preset')}.yaml"), *own]
    for argument in CALIBRATIONS:
        text = value(argument)
        if text and not Path(text).expanduser().is_file():  # FILE, or FILE#CAMERA
            _file(argument, text.rpartition("#")[0] or text)
    texts = {name: value(argument) for argument, name in PARAMETERS.items()}
    overrides = {name: parsed(name, text) for name, text in texts.items() if text}
    namespace = value("namespace").strip("/")
    reliability = value("input_reliability")
    if reliability:
        for argument in INPUTS:
            transport = "compressedDepth" if argument == "depth_image" else "compressed"
            for topic in resolved(namespace, value(argument), transport):
                overrides[f"qos_overrides.{topic}.subscription.reliability"] = reliability
    logger = ".".join([*namespace.split("/"), "msga"]).lstrip(".")
    node = Node(
        package="msga_ros",
        executable="msga",
        name="msga",
        namespace=namespace,
        parameters=[*files, overrides],
        remappings=[(topic, value(argument)) for argument, topic in INPUTS.items()],
        arguments=["--ros-args", "--log-level", f"{logger}:={value('log_level')}"],
        output="screen",
        emulate_tty=True,
        on_exit=Shutdown(reason="the node msga has ended"),
    )
    if value("rviz") == "false":
        return [node]
    return [rviz(namespace, value("rviz_config"), value("fixed_frame")), node]


def rviz(namespace: str, config: str, fixed_frame: str) -> Node:
    """RViz, once the node has said in which frame its outputs lie. Raises where there is none."""
    configuration = _file("rviz_config", config)
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
    full = topic if topic.startswith("/") else "/" + "/".join(filter(None, (namespace, topic)))
    return [full, f"{full}/{transport}"]


def _file(argument: str, text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{argument}: there is no file {path}")
    return path


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return LaunchDescription(
        [
            *declare_arguments(),
            OpaqueFunction(function=set_fastdds_profile),
            OpaqueFunction(function=start_nodes),
        ]
    )
