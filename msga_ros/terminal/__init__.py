"""What programs show on a terminal."""
