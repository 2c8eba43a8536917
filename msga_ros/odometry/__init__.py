"""Motion over many frames: visual odometry from filtered matches."""
