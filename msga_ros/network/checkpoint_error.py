"""What is raised for a checkpoint that cannot be used."""

from __future__ import annotations


class CheckpointError(ValueError):
    """A checkpoint is missing, unreadable or does not fit; the message says what and where."""
