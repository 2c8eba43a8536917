"""Judging estimators of relative pose and trajectories against known poses."""
