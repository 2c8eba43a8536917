"""What the node of the loops needs and ROS does not: odometry by time, images, requests."""
