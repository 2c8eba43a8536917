"""Recorded bags (rosbag2 and ROS 1) through the pipeline, with no ROS distribution."""
