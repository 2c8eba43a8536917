"""What a running stream needs and ROS does not: pairing, reference view, odometry."""
