"""Photographs with cameras, and depth where it is known, in one file for a training."""
