"""The package as such: metadata that agree, messages and files that users rely on."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

import msga_ros

ROOT = Path(__file__).resolve().parents[1]
PINNED = re.compile(r"^[A-Za-z0-9_.-]+(\[[a-z]+\])?==[^=\s]+(; python_version (<|>=) \"3\.\d+\")?$")

CORRESPONDENCES = {
    "header": "std_msgs/Header",
    "reference_header": "std_msgs/Header",
    "pairing": "uint8",
    "reference_width": "uint32",
    "reference_height": "uint32",
    "width": "uint32",
    "height": "uint32",
    "reference_k": "float64[9]",
    "k": "float64[9]",
    "rectified": "bool",
    "reference_points": "float32[]",
    "points": "float32[]",
    "inlier_probability": "float32[]",
    "inlier": "bool[]",
    "track_ids": "uint64[]",
    "detected_reference": "uint32",
    "detected": "uint32",
    "matched": "uint32",
    "network_inliers": "uint32",
    "geometric_inliers": "uint32",
}
RELATIVE_POSE = {
    "header": "std_msgs/Header",
    "reference_header": "std_msgs/Header",
    "status": "uint8",
    "transform": "geometry_msgs/Transform",
    "translation_scale_known": "bool",
    "covariance": "float64[36]",
    "essential": "float64[9]",
    "inliers": "uint32",
    "inlier_ratio": "float32",
    "median_parallax": "float32",
}


def package_xml() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "package.xml").getroot()


def message(name: str) -> tuple[dict[str, str], dict[str, int]]:
    """Fields and constants of a message file."""
    fields, constants = {}, {}
    for line in (ROOT / "msg" / f"{name}.msg").read_text().splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2 and "=" in words[1]:
            constant, _, number = words[1].partition("=")
            constants[constant] = int(number)
        elif words:
            fields[words[1]] = words[0]
    return fields, constants


def test_version_is_the_same_everywhere() -> None:
    stated = package_xml().findtext("version")
    assert stated == msga_ros.__version__
    printed = subprocess.check_output(
        [sys.executable, "setup.py", "--version"], cwd=ROOT, text=True, stderr=subprocess.DEVNULL
    )
    assert printed.split()[-1] == stated


def test_package_xml_says_how_it_is_built() -> None:
    package = package_xml()
    assert package.get("format") == "3"
    assert package.findtext("name") == "msga_ros"
    assert package.findtext("license") == "Apache-2.0"
    assert package.findtext("export/build_type") == "ament_cmake"
    assert package.findtext("member_of_group") == "rosidl_interface_packages"


@pytest.mark.parametrize(
    ("name", "fields", "constants"),
    [
        ("Correspondences", CORRESPONDENCES, {"PAIRING_STEREO": 0, "PAIRING_TEMPORAL": 1}),
        (
            "RelativePose",
            RELATIVE_POSE,
            {"STATUS_OK": 0, "STATUS_TOO_FEW_MATCHES": 1, "STATUS_DEGENERATE": 2},
        ),
    ],
)
def test_messages_have_the_promised_fields(
    name: str, fields: dict[str, str], constants: dict[str, int]
) -> None:
    assert message(name) == (fields, constants)


@pytest.mark.ros
@pytest.mark.parametrize("name", ["Correspondences", "RelativePose"])
def test_built_messages_are_those_of_the_source(name: str) -> None:
    pytest.importorskip("rclpy", reason="no ROS here")
    built = getattr(pytest.importorskip("msga_ros.msg", reason="messages not built"), name)
    stated = {key: kind.replace("bool", "boolean") for key, kind in message(name)[0].items()}
    kinds = built.get_fields_and_field_types()
    assert list(kinds) == list(stated)
    for field, kind in kinds.items():
        primitive = kind.replace("float64", "double").replace("float32", "float")
        sequence = re.fullmatch(r"sequence<(.+)>", primitive)
        flat = f"{sequence[1]}[]" if sequence else primitive
        assert flat == stated[field].replace("float64", "double").replace("float32", "float")


@pytest.mark.ros
def test_sources_and_built_messages_are_one_package() -> None:
    pytest.importorskip("rclpy", reason="no ROS here")
    pytest.importorskip("msga_ros.msg", reason="messages not built")
    for folder in (ROOT, Path("/")):  # from the source tree, and from the install space alone
        code = (
            "import msga_ros.two_view.config, msga_ros.msg as m;"
            " print(m.RelativePose.STATUS_DEGENERATE)"
        )
        printed = subprocess.check_output([sys.executable, "-c", code], cwd=folder, text=True)
        assert printed.split() == ["2"]


def test_fastdds_profile_has_room_for_big_images() -> None:
    namespace = {"d": "http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"}
    profile = ElementTree.parse(ROOT / "config" / "fastdds.xml").getroot()
    transports = {
        transport.findtext("d:transport_id", namespaces=namespace): transport
        for transport in profile.iterfind(".//d:transport_descriptor", namespace)
    }
    shared_memory = next(
        transport
        for transport in transports.values()
        if transport.findtext("d:type", namespaces=namespace) == "SHM"
    )
    for size in ("segment_size", "maxMessageSize"):
        assert int(shared_memory.findtext(f"d:{size}", "0", namespace)) == 64 * 2**20
    participant = profile.find(".//d:participant", namespace)
    assert participant is not None
    assert participant.get("is_default_profile") == "true"
    used = participant.iterfind(".//d:userTransports/d:transport_id", namespace)
    assert {transport.text for transport in used} == set(transports)


def test_rviz_view_shows_what_the_node_publishes() -> None:
    view = yaml.safe_load((ROOT / "config" / "msga.rviz").read_text())["Visualization Manager"]
    shown = {
        display["Class"].rpartition("/")[2]: display["Topic"]["Value"]
        for display in view["Displays"]
        if "Topic" in display
    }
    assert shown == {
        "Image": "/msga/matches_image",
        "MarkerArray": "/msga/markers",
        "Path": "/msga/path",
        "Odometry": "/msga/odometry",
    }


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-dev.txt", "requirements-ros.txt", "constraints.txt"]
)
def test_every_requirement_is_pinned(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line[:1] not in ("", "#")]
    assert lines
    assert [line for line in lines if not PINNED.match(line)] == []


def test_executables_are_executable() -> None:
    for name in ("msga", "msga_command", "msga_loops", "msga_player"):
        assert os.access(ROOT / "scripts" / name, os.X_OK)


@pytest.mark.ros
def test_the_workspace_has_the_command_on_its_path() -> None:
    packages = pytest.importorskip("ament_index_python.packages", reason="no ROS here")
    try:
        prefix = Path(packages.get_package_prefix("msga_ros"))
    except packages.PackageNotFoundError:
        pytest.skip("the package is not built")
    assert str(prefix / "bin") in os.environ["PATH"].split(os.pathsep)
    printed = subprocess.check_output([str(prefix / "bin" / "msga"), "--version"], text=True)
    assert printed.split() == ["msga_ros", msga_ros.__version__]


@pytest.mark.ros
def test_launch_file_offers_its_arguments() -> None:
    pytest.importorskip("launch_ros", reason="launch_ros is not installed")
    pytest.importorskip("msga_ros.msg", reason="the package is not built")
    specification = importlib.util.spec_from_file_location(
        "msga_launch", ROOT / "launch" / "msga.launch.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    arguments = {a.name for a in module.generate_launch_description().get_launch_arguments()}
    assert arguments >= {
        "mode", "namespace", "left_image", "right_image", "left_camera_info", "right_camera_info",
        "image", "camera_info", "params_file", "device", "image_transport", "rviz", "log_level",
    }  # fmt: skip
