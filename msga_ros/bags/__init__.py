"""Recorded bags (rosbag2: MCAP and SQLite) through the pipeline, with no ROS distribution."""
