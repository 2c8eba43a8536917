"""Subscribes to everything that the node publishes, and never reads any of it."""

import signal

import rclpy
from msga_ros.msg import Correspondences, RelativePose
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

rclpy.init()
node = rclpy.create_node("stalled")
for name, kind in (
    ("correspondences", Correspondences),
    ("relative_pose", RelativePose),
    ("matches_image", Image),
    ("markers", MarkerArray),
):
    node.create_subscription(kind, f"msga/{name}", print, QoSProfile(depth=5))  # reliable
signal.pause()
