"""Sequences of camera frames: folders of posed images, videos, a rendered scene. No ROS in here."""
