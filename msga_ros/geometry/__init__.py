"""Two-view geometry: pure functions on numpy arrays and torch tensors; no image, no weights."""
