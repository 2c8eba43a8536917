"""The viewer's ears in a running system."""
