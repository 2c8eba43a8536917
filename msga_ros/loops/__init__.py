"""Places seen before: keyframes, candidates by one descriptor an image, verification."""
