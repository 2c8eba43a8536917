"""Matches, points and cameras in the viewer Rerun: of a folder, a bag or a running node."""
