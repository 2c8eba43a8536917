"""Rendering of textured scenes with known geometry. No GPU, nothing to download."""
