"""Programs around the node: demo, benchmark, player. They need ROS, as the node does."""
