"""Visual odometry by several estimators, judged against known trajectories."""
