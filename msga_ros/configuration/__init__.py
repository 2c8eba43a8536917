"""Configuration: frozen dataclasses from YAML, and what a parameter is."""
