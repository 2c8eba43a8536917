"""Start the node `msga`, and RViz if asked: `ros2 launch msga_ros msga.launch.py --show-args`.

Arguments left empty keep what the parameter file says. Sets the Fast DDS profile for big images
(config/fastdds.xml) for what it starts, unless a profile is set in the environment already.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
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
}
OUTPUTS = ("matches_image", "markers", "path", "odometry")
# Current optical frame of each mode as msga_player names it; markers lie in that frame.
PLAYER_FRAMES = {"stereo": "right_optical_frame", "temporal": "camera_optical_frame"}
ODOMETRY_FRAME = "msga_odom"


def declare_arguments() -> list[DeclareLaunchArgument]:
    """All launch arguments, with their defaults."""
    choose = DeclareLaunchArgument
    return [
        choose(
            "mode",
            default_value="",
            choices=["", "stereo", "temporal"],
            description="stereo: left and right image; temporal: one camera over time",
        ),
        choose("namespace", default_value="", description="namespace of the node and its inputs"),
        *(
            choose(argument, default_value=topic, description=f"topic of the input {topic}")
            for argument, topic in INPUTS.items()
        ),
        choose(
            "params_file",
            default_value=str(SHARE / "config" / "msga.yaml"),
            description="parameter file of the node",
        ),
        choose("device", default_value="", description="network device: auto, cpu, cuda or cuda:N"),
        choose(
            "image_transport",
            default_value="",
            choices=["", "raw", "compressed"],
            description="how the images come; compressed: <image topic>/compressed",
        ),
        choose(
            "tf",
            default_value="",
            choices=["", "true", "false"],
            description="publish the odometry as a transform (mode stereo)",
        ),
        choose("use_sim_time", default_value="false", description="follow /clock (bags)"),
        choose(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error", "fatal"],
            description="least severe log messages of the node that are shown",
        ),
        choose("rviz", default_value="false", description="start RViz beside the node"),
        choose(
            "rviz_config",
            default_value=str(SHARE / "config" / "msga.rviz"),
            description="configuration file of RViz",
        ),
        choose(
            "fixed_frame",
            default_value="",
            description="fixed frame of RViz: frame_id of the current image "
            "(right camera in mode stereo); empty: that of msga_player, with tf:=true msga_odom",
        ),
    ]


def set_fastdds_profile(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Both variables, unless the user has set one of them."""
    if any(context.environment.get(name) for name in PROFILE_VARIABLES):
        return []
    profile = str(SHARE / "config" / "fastdds.xml")
    return [SetEnvironmentVariable(name, profile) for name in PROFILE_VARIABLES]


def start_nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node with the arguments that were given, and RViz."""

    def value(argument: str) -> str:
        return LaunchConfiguration(argument).perform(context)

    params_file = Path(value("params_file")).expanduser()
    if not params_file.is_file():
        raise FileNotFoundError(f"params_file: there is no file {params_file}")
    given = {
        "mode": value("mode"),
        "network.device": value("device"),
        "image_transport": value("image_transport"),
    }
    overrides = {name: text for name, text in given.items() if text}
    if value("tf"):
        overrides["publish.tf"] = value("tf") == "true"
    overrides["use_sim_time"] = value("use_sim_time").lower() in ("true", "1")
    namespace = value("namespace").strip("/")
    prefix = f"/{namespace}/msga" if namespace else "/msga"
    frame = ODOMETRY_FRAME if value("tf") == "true" else PLAYER_FRAMES[value("mode") or "stereo"]
    return [
        Node(
            package="msga_ros",
            executable="msga",
            name="msga",
            namespace=namespace,
            parameters=[str(params_file), overrides],
            remappings=[(topic, value(argument)) for argument, topic in INPUTS.items()],
            arguments=["--ros-args", "--log-level", f"msga:={value('log_level')}"],
            output="screen",
            emulate_tty=True,
        ),
        Node(
            package="rviz2",
            executable="rviz2",
            name="msga_rviz",
            namespace=namespace,
            arguments=["-d", value("rviz_config"), "-f", value("fixed_frame") or frame],
            remappings=[(f"/msga/{name}", f"{prefix}/{name}") for name in OUTPUTS],
            condition=IfCondition(value("rviz")),
            output="log",
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    """Entry point of `ros2 launch`."""
    return LaunchDescription(
        [
            *declare_arguments(),
            OpaqueFunction(function=set_fastdds_profile),
            OpaqueFunction(function=start_nodes),
        ]
    )
