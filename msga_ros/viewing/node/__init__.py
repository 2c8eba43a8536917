"""What the viewer receives from a running node."""
