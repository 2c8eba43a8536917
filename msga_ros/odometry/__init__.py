"""Motion over many frames: visual odometry from filtered matches, and its judge. No ROS in here."""
